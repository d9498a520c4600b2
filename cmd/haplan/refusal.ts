/** A command's refusal, as diagnostics. */
import type { CommandWords } from "../../src/base/command-words.ts";
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import type { StopRequests } from "./stop-requests.ts";

/** Thrown by a command that cannot continue; the diagnostics say why. */
export class RefusalError extends Error {
  override readonly name = "RefusalError";
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(({ summary }) => summary).join("; "));
    this.diagnostics = diagnostics;
  }
}

/** A refusal with a single diagnostic. */
export function refuse(
  code: string,
  summary: string,
  detail: string,
  commands: readonly CommandWords[] = [],
): RefusalError {
  return new RefusalError([{ severity: "error", code, summary, detail, commands }]);
}

/** A stop that was requested before anything was done. */
export function stoppedBeforeChange(stop: StopRequests): RefusalError {
  return refuse("apply/interrupted", stop.reason, "Nothing was changed.");
}
