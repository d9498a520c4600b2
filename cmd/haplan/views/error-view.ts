/** Any thrown value as a diagnostic: an operational error by its code, anything else as a bug in haplan. */
import type { Diagnostic } from "../../../src/base/diagnostic.ts";
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";

export function diagnosticForError(thrown: unknown): Diagnostic {
  if (thrown instanceof HaplanError) {
    const [summary, ...detail] = thrown.message.split("\n");
    const { code, commands } = thrown;
    return { severity: "error", code, summary: summary ?? "", detail: detail.join("\n"), commands };
  }
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return {
    severity: "error",
    code: "haplan/bug",
    summary: `haplan has a bug: ${errorText(thrown)}`,
    detail: [
      "The run stopped there. Please report this error with the following details.",
      ...(stack?.split("\n").slice(1) ?? []),
    ].join("\n"),
  };
}
