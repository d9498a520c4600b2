/** Normalizes command lines written in Terraform's style for the command-line parser. */
import type { Command } from "commander";
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./refusal.ts";

/** Gives long flags their second dash. `-h`, `-`, numbers and everything after `--` are left alone. */
export function normalizeFlags(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  const flags = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end);
  return [...flags.map((word) => (/^-[a-zA-Z][\w-]+/.test(word) ? `-${word}` : word)), ...rest];
}

/** Turns `--json=true` into `--json` and drops `--json=false`, for each flag of `program` that takes no value. */
export function resolveSwitches(program: Command, words: readonly string[]): readonly string[] {
  const switches = new Set(switchesOf(program));
  const end = words.indexOf("--");
  return words.flatMap((word, index) => {
    const [, flag, value] = ((end === -1 || index < end) && /^(--[\w-]+)=(true|false)$/.exec(word)) || [];
    if (flag === undefined || !switches.has(flag)) return [word];
    return value === "true" ? [flag] : [];
  });
}

function switchesOf(command: Command): string[] {
  const own = command.options.filter(({ required, optional }) => !required && !optional).map(({ long }) => long ?? "");
  return [...own, ...command.commands.flatMap(switchesOf)];
}

/** Words from the environment, and the position in `words` where they were inserted. */
export type ExpandedWords = {
  readonly words: readonly string[];
  /** The inserted words, by the name of their variable. */
  readonly added: ReadonlyMap<string, readonly string[]>;
};

/**
 * Inserts the words of HAPLAN_CLI_ARGS and HAPLAN_CLI_ARGS_<command> behind the command's name, as Terraform does with
 * TF_CLI_ARGS: words on the command line come after them and take precedence.
 */
export function withEnvironmentFlags(
  program: Command,
  words: readonly string[],
  environment: Environment,
): ExpandedWords {
  const verbs = new Map(program.commands.map((command) => [command.name(), command]));
  const at = verbIndex(program, words, verbs);
  const verb = words[at];
  if (verb === undefined) return { words, added: new Map() };
  const nested = verbs.get(verb)?.commands.some((command) => command.name() === words[at + 1]) ? 2 : 1;
  const name = words
    .slice(at, at + nested)
    .join("_")
    .replaceAll("-", "_");
  const added = new Map(
    ["HAPLAN_CLI_ARGS", `HAPLAN_CLI_ARGS_${name}`].map((variable) => [
      variable,
      normalizeFlags(splitWords(variable, environment[variable] ?? "")),
    ]),
  );
  return { words: [...words.slice(0, at + nested), ...[...added.values()].flat(), ...words.slice(at + nested)], added };
}

/** Index of the first word that is a command, and not the value of a flag before it (`-chdir plan`); -1 without one. */
function verbIndex(program: Command, words: readonly string[], verbs: ReadonlyMap<string, Command>): number {
  const valued = new Set(program.options.filter(({ required }) => required).map(({ long }) => long));
  return words.findIndex((word, index) => verbs.has(word) && !valued.has(words[index - 1]));
}

/** The variable that supplied the flag or word named in `message`; null if it was on the command line. */
export function sourceVariable(
  message: string,
  typed: readonly string[],
  added: ExpandedWords["added"],
): string | null {
  const named = [...message.matchAll(/'([^']*)'/g)].map((match) => match[1]?.split(/[ ,]/)[0] ?? "");
  const holds = (words: readonly string[]): boolean =>
    words.some((word) => named.some((name) => name !== "" && (word === name || word.startsWith(`${name}=`))));
  if (holds(typed)) return null;
  return [...added].find(([, words]) => holds(words))?.[0] ?? null;
}

/** Splits at spaces; single or double quotes keep spaces together. @throws RefusalError */
function splitWords(variable: string, text: string): readonly string[] {
  const words = text.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  if (words.join("").length !== text.replace(/("[^"]*"|'[^']*')|\s/g, "$1").length)
    throw refuse("cli/bad-environment", `A quote in ${variable} is not closed`, `Its value is: ${text}`);
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}

/** Parses variables from words such as `COUNT=5`. @throws RefusalError */
export function parseVariables(words: readonly string[]): Environment {
  const entries = words.map((word) => {
    const match = /^([A-Za-z_]\w*)=(.*)$/s.exec(word);
    if (match !== null) return [match[1] ?? "", match[2] ?? ""] as const;
    throw refuse(
      "cli/bad-variable",
      "A -var has no value",
      "Write -var NAME=VALUE, without spaces around the equals sign. The given text is not shown because it may be a secret.",
    );
  });
  return Object.fromEntries(entries);
}
