/** One run of the command line as a function: arguments in, exit code out. All errors end here. */
import { CommanderError } from "commander";
import { normaliseFlags } from "./argv.ts";
import { type CliContext, type ExitCode, RefusalError } from "./cli-context.ts";
import { createProgram } from "./program.ts";
import { diagnosticLine, renderUiLine } from "./views/apply-json.ts";
import { diagnosticsToJson, renderDiagnostics } from "./views/diagnostics-view.ts";
import { diagnosticForError } from "./views/error-view.ts";

/** Verbs whose -json is a stream of events. */
const streaming = new Set(["apply", "destroy"]);

export async function runHaplan(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  const words = normaliseFlags(argv);
  let code: ExitCode = 0;
  const finish = (outcome: ExitCode): void => {
    code = outcome;
  };
  try {
    await createProgram(context, finish).parseAsync([...words], { from: "user" });
    return code;
  } catch (error) {
    // Commander has said what it had to say, and help is not a failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    reportError(words, context, error);
    return 1;
  }
}

function reportError(words: readonly string[], context: CliContext, error: unknown): void {
  const { terminal, clock } = context;
  const diagnostics = error instanceof RefusalError ? error.diagnostics : [diagnosticForError(error)];
  if (!words.includes("--json")) terminal.printError(renderDiagnostics(diagnostics, terminal.errorPaint));
  else if (streaming.has(words.find((word) => !word.startsWith("-")) ?? "")) {
    for (const diagnostic of diagnostics) terminal.print(renderUiLine(diagnosticLine(diagnostic), clock.now()));
  } else terminal.print(JSON.stringify(diagnosticsToJson(diagnostics), null, 2));
}
