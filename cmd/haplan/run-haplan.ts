/** One run of the command line as a function: arguments in, exit code out. All errors end here. */
import { type Command, CommanderError } from "commander";
import { normaliseFlags } from "./argv.ts";
import { type ExitCode, RefusalError, type Surroundings } from "./cli-context.ts";
import { Invocation } from "./invocation.ts";
import { createProgram } from "./program.ts";
import { Reporter } from "./reporter.ts";
import { diagnosticForError } from "./views/error-view.ts";

/** `haplan nosuch -h` asks for help on what there is not: left without its flag, it is refused like any other mistake. */
function withoutVainHelp(program: Command, words: readonly string[]): readonly string[] {
  const valued = new Set(program.options.filter(({ required }) => required).map(({ long }) => long));
  let command = program;
  for (const [index, word] of words.entries()) {
    if (word === "--" || command.commands.length === 0) break;
    if (word.startsWith("-") || valued.has(words[index - 1])) continue;
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined && word !== "help") return words.filter((each) => each !== "-h" && each !== "--help");
    if (next === undefined) break;
    command = next;
  }
  return words;
}

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
    await program.parseAsync([...withoutVainHelp(program, words)], { from: "user" });
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
