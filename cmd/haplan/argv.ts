/** Command lines as Terraform's users write them, in the one form that the parser of verbs and flags takes. */
import type { Command } from "commander";
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./cli-context.ts";

/** Gives long flags their second dash. `-h`, `-`, numbers and everything after `--` stay as they are. */
export function normaliseFlags(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  const flags = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end);
  return [...flags.map((word) => (/^-[a-zA-Z][\w-]+/.test(word) ? `-${word}` : word)), ...rest];
}

/** `--json=true` is `--json`, and `--json=false` is nothing, for each flag of `program` that takes no value. */
export function settleSwitches(program: Command, words: readonly string[]): readonly string[] {
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

/**
 * The words with those of HAPLAN_CLI_ARGS and HAPLAN_CLI_ARGS_<verb> behind the verb, as Terraform takes TF_CLI_ARGS:
 * what is typed comes after them and counts more.
 */
export function withEnvironmentFlags(
  program: Command,
  words: readonly string[],
  environment: Environment,
): readonly string[] {
  const verbs = new Map(program.commands.map((command) => [command.name(), command]));
  const at = words.findIndex((word) => verbs.has(word));
  const verb = words[at];
  if (verb === undefined) return words;
  const nested = verbs.get(verb)?.commands.some((command) => command.name() === words[at + 1]) ? 2 : 1;
  const name = words
    .slice(at, at + nested)
    .join("_")
    .replaceAll("-", "_");
  const added = ["HAPLAN_CLI_ARGS", `HAPLAN_CLI_ARGS_${name}`].flatMap((variable) =>
    splitWords(variable, environment[variable] ?? ""),
  );
  return [...words.slice(0, at + nested), ...normaliseFlags(added), ...words.slice(at + nested)];
}

/** Split at blanks; quotes of either kind hold blanks together. @throws RefusalError */
function splitWords(variable: string, text: string): readonly string[] {
  const words = text.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  if (words.join("").length !== text.replace(/("[^"]*"|'[^']*')|\s/g, "$1").length)
    throw refuse("cli/bad-environment", `A quote in ${variable} has no end`, `It is: ${text}`);
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}

/** Variables by name, from words such as `COUNT=5`. @throws RefusalError */
export function parseVariables(words: readonly string[]): Environment {
  const entries = words.map((word) => {
    const match = /^([A-Za-z_]\w*)=(.*)$/s.exec(word);
    if (match !== null) return [match[1] ?? "", match[2] ?? ""] as const;
    throw refuse("cli/bad-variable", `-var ${word} gives no variable a value`, "Write -var NAME=VALUE.");
  });
  return Object.fromEntries(entries);
}
