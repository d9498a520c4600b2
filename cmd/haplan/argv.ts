/** Flags may be written with one dash or two, as Terraform's users are used to: `-json` means `--json`. */

/** Gives long flags their second dash. `-h`, `-`, numbers and everything after `--` stay as they are. */
export function normaliseFlags(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  const flags = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end);
  return [...flags.map((word) => (/^-[a-zA-Z][\w-]+/.test(word) ? `-${word}` : word)), ...rest];
}
