import type { CommandWords } from "./command-words.ts";

/**
 * An operational error: something outside the program failed. `code` is stable, so scripts may match it; `message`
 * names the failed action and the reason; `cause` is the underlying error.
 */
export class HaplanError extends Error {
  override readonly name = "HaplanError";
  readonly code: string;
  /** Command lines that help; printed below the message. */
  readonly commands: readonly CommandWords[];

  constructor(code: string, message: string, options: { cause?: unknown; commands?: readonly CommandWords[] } = {}) {
    super(message, options);
    this.code = code;
    this.commands = options.commands ?? [];
  }
}

/** The text of any thrown value, for use in another message. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system's error code (`ENOENT`, `EADDRINUSE`, ...) or undefined. */
export function systemErrorCode(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
