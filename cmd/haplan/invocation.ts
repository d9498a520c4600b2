/**
 * The current command line, and the command lines that haplan prints for its user: each can be pasted into a shell and
 * works on the same spec with the same variables.
 */
import type { CommandWords } from "../../src/base/command-words.ts";
import type { Diagnostic } from "../../src/base/diagnostic.ts";

/** The flags that select the cluster. */
type Subject = {
  /** As it was given, or as it was found; null if the command finds the same spec by itself. */
  readonly spec: string | null;
  /** The name given with `-state-only`, for commands that have the flag. */
  readonly stateOnly: string | null;
  /** The value of each `-var`. */
  readonly variables: readonly string[];
  /** The value of each `-var-file`. */
  readonly variableFiles: readonly string[];
  /** The value of `-chdir`. */
  readonly chdir: string | null;
};

export class Invocation {
  /** The words after `haplan`. */
  readonly words: readonly string[];
  #subject: Subject = {
    spec: null,
    stateOnly: null,
    variables: [],
    variableFiles: [],
    chdir: null,
  };

  constructor(words: readonly string[]) {
    this.words = words;
  }

  /** The cluster of the printed commands. */
  about(subject: Partial<Subject>): void {
    this.#subject = { ...this.#subject, ...subject };
  }

  /**
   * The current command line, with `flags` added in place of others of their names, and without each `-replace` of an address
   * in `replaced`.
   */
  again(change: { readonly flags?: readonly string[]; readonly replaced?: ReadonlySet<string> } = {}): string {
    const given = (change.flags ?? []).map((flag) => flag.replace(/^-+|=.*$/gs, ""));
    const isReplaced = (name: string, value: string | undefined): boolean =>
      given.includes(name) || (name === "replace" && value !== undefined && change.replaced?.has(value) === true);
    const kept = withoutFlags(this.words, ["replace", ...given.filter((name) => takingValues.has(name))], isReplaced);
    const end = kept.indexOf("--");
    return shellLine([
      ...(end === -1 ? kept : kept.slice(0, end)),
      ...(change.flags ?? []),
      ...(end === -1 ? [] : kept.slice(end)),
    ]);
  }

  /** Another command: `command` with the flags that select the spec, in the form that it accepts. */
  line(command: CommandWords): string {
    const { chdir } = this.#subject;
    return shellLine([...(chdir === null ? [] : [`-chdir=${chdir}`]), ...this.#wordsOf(command)]);
  }

  /** The command that applies a saved plan, which contains its spec and variables. */
  applySaved(path: string): string {
    const { chdir } = this.#subject;
    return shellLine([...(chdir === null ? [] : [`-chdir=${chdir}`]), "apply", pathWord(path)]);
  }

  #wordsOf(command: CommandWords): readonly string[] {
    const length = command[0] === "state" || command[0] === "certs" ? 2 : 1;
    const { spec, stateOnly, variables, variableFiles } = this.#subject;
    const verb = command[0] ?? "";
    if (command.some((word) => word.startsWith("-state-only="))) return command;
    if (stateOnly !== null && !specVerbs.has(verb)) {
      return [...command.slice(0, length), `-state-only=${stateOnly}`, ...command.slice(length)];
    }
    const takesArgument = specArgumentVerbs.has(command.slice(0, length).join(" "));
    return [
      ...command.slice(0, length),
      ...variableFiles.map((file) => `-var-file=${file}`),
      ...variables.map((variable) => `-var=${variable}`),
      ...(spec === null || takesArgument ? [] : [`-spec=${spec}`]),
      ...command.slice(length),
      ...(spec !== null && takesArgument ? [pathWord(spec)] : []),
    ];
  }

  /** The diagnostic with its commands at the end of its detail, each on an indented line of its own. */
  spellOut(diagnostic: Diagnostic): Diagnostic {
    const { commands = [], ...rest } = diagnostic;
    if (commands.length === 0) return rest;
    const lines = commands.map((command) => `    ${this.line(command)}`);
    return { ...rest, detail: [...(rest.detail ? [rest.detail] : []), ...lines].join("\n") };
  }
}

/** Commands that take the spec as an argument; all others take `-spec`. */
const specArgumentVerbs: ReadonlySet<string> = new Set([
  "apply",
  "backup",
  "backups",
  "certs status",
  "check",
  "destroy",
  "drill",
  "events",
  "graph",
  "kubernetes",
  "migrate",
  "output",
  "plan",
  "recover",
  "rehearse",
  "restore",
  "status",
  "ui",
  "validate",
  "watch",
]);

/** Commands that need more than what was applied. */
const specVerbs: ReadonlySet<string> = new Set([
  "apply",
  "certs",
  "check",
  "drill",
  "graph",
  "import",
  "migrate",
  "plan",
  "recover",
  "rehearse",
  "restore",
  "validate",
  "watch",
]);

/** A path that begins with a dash would be parsed as a flag; a lone dash is standard input. */
export function pathWord(path: string): string {
  return path.startsWith("-") && path !== "-" ? `./${path}` : path;
}

/** `haplan` and these words, quoted where a POSIX shell needs it. */
export function shellLine(words: readonly string[]): string {
  return ["haplan", ...words].map(shellWord).join(" ");
}

function shellWord(word: string): string {
  return /^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Flags with a value that a printed command may have instead of the given one. */
const takingValues: ReadonlySet<string> = new Set(["max-write-gap"]);

/** `-NAME=VALUE` and `-NAME VALUE`, with one dash or two, of these names. */
function withoutFlags(
  words: readonly string[],
  names: readonly string[],
  isReplaced: (name: string, value: string | undefined) => boolean,
): readonly string[] {
  const kept: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (word === "--") return [...kept, ...words.slice(index)];
    const [, name, own] = /^--?([\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    const value = own ?? words[index + 1];
    if (name === undefined || !names.includes(name) || !isReplaced(name, value)) kept.push(word);
    else if (own === undefined) index += 1;
  }
  return kept;
}
