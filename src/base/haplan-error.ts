import type { CommandWords } from "./command-words.ts";

/**
 * An operating error: something outside the program did not go as needed. `code` is stable and may be matched by
 * scripts; `message` names the action that failed and why; `cause` keeps the error underneath.
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

/** The text of whatever was thrown, for embedding in a message of our own. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system's error code (`ENOENT`, `EADDRINUSE`, ...) or undefined. */
export function systemErrorCode(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
