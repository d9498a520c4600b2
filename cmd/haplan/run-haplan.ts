/** One run of the command line as a function: arguments in, exit code out. All errors end here. */
import { CommanderError } from "commander";
import { normaliseFlags } from "./argv.ts";
import { type ExitCode, RefusalError, type Surroundings } from "./cli-context.ts";
import { Invocation } from "./invocation.ts";
import { createProgram } from "./program.ts";
import { Reporter } from "./reporter.ts";
import { diagnosticForError } from "./views/error-view.ts";

export async function runHaplan(argv: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const words = normaliseFlags(argv);
  const invocation = new Invocation(argv);
  const reporter = new Reporter(surroundings.terminal, surroundings.clock, invocation);
  let code: ExitCode = 0;
  const finish = (outcome: ExitCode): void => {
    code = outcome;
  };
  try {
    const program = createProgram({ ...surroundings, invocation, reporter, variables: {} }, finish);
    await program.parseAsync([...words], { from: "user" });
    return code;
  } catch (error) {
    // Commander has said what it had to say, and help is not a failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    reporter.fail(error instanceof RefusalError ? error.diagnostics : [diagnosticForError(error)]);
    return 1;
  } finally {
    reporter.close();
  }
}
