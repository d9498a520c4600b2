/** One run of the command line as a function: arguments in, exit code out. It handles all errors. */
import { type Command, CommanderError } from "commander";
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import { errorText } from "../../src/base/haplan-error.ts";
import { type ExpandedWords, normalizeFlags, resolveSwitches, sourceVariable, withEnvironmentFlags } from "./argv.ts";
import type { CliContext, ExitCode, RunEnvironment } from "./cli-context.ts";
import { noDebugLog, openDebugLog, redactedWords } from "./debug-log.ts";
import { Invocation } from "./invocation.ts";
import { createProgram, jsonForm } from "./program.ts";
import { RefusalError } from "./refusal.ts";
import { Reporter } from "./reporter.ts";
import { diagnosticForError } from "./views/error-view.ts";

/** `haplan nosuch -h` is rejected like any other unknown command: the help flag is ignored. */
function withoutUnusedHelp(program: Command, words: readonly string[]): readonly string[] {
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

function verbOf(words: readonly string[]): string {
  return words.find((word) => !word.startsWith("-")) ?? "";
}

function usageMistake({ message }: CommanderError, origin: string | null): Diagnostic {
  const [summary = "", ...detail] = message.replace(/^error: /, "").split("\n");
  const details = origin === null ? detail : [...detail, origin];
  return { severity: "error", code: "cli/usage", summary, detail: details.join("\n") };
}

export async function runHaplan(argv: readonly string[], runEnvironment: RunEnvironment): Promise<ExitCode> {
  const { environment, terminal, clock, version } = runEnvironment;
  const invocation = new Invocation(argv);
  try {
    const log = openDebugLog(environment, runEnvironment);
    const words = redactedWords(argv);
    log.write("info", "haplan", { version, node: process.version, arguments: words, directory: runEnvironment.cwd });
    const code = await runLogged(argv, { ...runEnvironment, invocation, log });
    log.write("info", "exit", { code });
    log.close();
    return code;
  } catch (error) {
    // Only an error from opening the log itself ends up here; all others are logged.
    new Reporter(terminal, clock, invocation, noDebugLog).fail(diagnosticsOf(error));
    return 1;
  }
}

async function runLogged(
  argv: readonly string[],
  runEnvironment: RunEnvironment & Pick<CliContext, "invocation" | "log">,
): Promise<ExitCode> {
  const { terminal, clock, invocation, log, environment } = runEnvironment;
  const typed = normalizeFlags(argv);
  const reporter = new Reporter(terminal, clock, invocation, log);
  let code: ExitCode = 0;
  let added: ExpandedWords["added"] = new Map();
  const opened: (() => Promise<void>)[] = [];
  const atEnd = (close: () => Promise<void>): void => void opened.push(close);
  const finish = (outcome: ExitCode): void => {
    code = outcome;
  };
  try {
    const program = createProgram({ ...runEnvironment, reporter, variables: {}, atEnd }, finish);
    const expanded = withEnvironmentFlags(program, typed, environment);
    added = expanded.added;
    for (const [variable, words] of added) {
      if (words.length > 0) log.write("info", "flags of the environment", { variable, words: redactedWords(words) });
    }
    const words = resolveSwitches(program, expanded.words);
    await program.parseAsync([...withoutUnusedHelp(program, words)], { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed it already, and help is not a failure.
      if (error.exitCode === 0) return 0;
      const variable = sourceVariable(error.message, typed, added);
      const origin = variable === null ? null : `It comes from the environment variable ${variable}.`;
      if (origin !== null) terminal.printError(origin);
      if (typed.includes("--json")) reporter.failUnread(jsonForm(verbOf(typed), true), usageMistake(error, origin));
      return 1;
    }
    reporter.fail(diagnosticsOf(error));
    return 1;
  } finally {
    await closeAll(opened, log);
    reporter.close();
  }
}

/** What was done is done: a connection that does not close properly fails nothing. */
async function closeAll(opened: readonly (() => Promise<void>)[], log: CliContext["log"]): Promise<void> {
  for (const close of opened.toReversed()) {
    await close().catch((error: unknown) => log.write("warn", "close", { error: errorText(error) }));
  }
}

function diagnosticsOf(error: unknown): readonly Diagnostic[] {
  return error instanceof RefusalError ? error.diagnostics : [diagnosticForError(error)];
}
