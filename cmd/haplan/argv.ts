/** Flags may be written with one dash or two, as Terraform's users are used to: `-json` means `--json`. */
import type { Environment } from "../../src/state/sealed-text.ts";
import { refuse } from "./cli-context.ts";

/** Gives long flags their second dash. `-h`, `-`, numbers and everything after `--` stay as they are. */
export function normaliseFlags(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  const flags = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end);
  return [...flags.map((word) => (/^-[a-zA-Z][\w-]+/.test(word) ? `-${word}` : word)), ...rest];
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
