// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the shell's
/** Completion scripts for shells, made from the verbs and flags themselves, so that they never lag behind. */
export type CompletionFlag = { readonly name: string; readonly description: string; readonly takesValue: boolean };

export type CompletionVerb = {
  /** `plan`, `state list`. */
  readonly name: string;
  readonly description: string;
  readonly flags: readonly CompletionFlag[];
};

export const completionShells = ["bash", "zsh", "fish"] as const;
export type CompletionShell = (typeof completionShells)[number];

export function renderCompletion(shell: CompletionShell, verbs: readonly CompletionVerb[]): string {
  switch (shell) {
    case "bash":
      return bash(verbs);
    case "zsh":
      return zsh(verbs);
    case "fish":
      return fish(verbs);
  }
}

/** The first words of all verbs, and the second words by first word. */
function words(verbs: readonly CompletionVerb[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const { name } of verbs) {
    const [first = "", second] = name.split(" ");
    const group = groups.get(first) ?? [];
    if (second !== undefined) group.push(second);
    groups.set(first, group);
  }
  return groups;
}

function bash(verbs: readonly CompletionVerb[]): string {
  const groups = words(verbs);
  const nested = [...groups].filter(([, seconds]) => seconds.length > 0);
  const cases = verbs.map(
    ({ name, flags }) => `    ${quote(name)}) flags="${flags.map((flag) => flag.name).join(" ")}" ;;`,
  );
  return [
    "# bash completion for haplan: source <(haplan completion bash)",
    "_haplan() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" verb="${COMP_WORDS[1]}" second="${COMP_WORDS[2]}" flags=""',
    "  COMPREPLY=()",
    '  if [ "$COMP_CWORD" -eq 1 ]; then',
    `    COMPREPLY=($(compgen -W "${[...groups.keys()].join(" ")}" -- "$current"))`,
    "    return",
    "  fi",
    ...nested.flatMap(([first, seconds]) => [
      `  if [ "$verb" = ${first} ] && [ "$COMP_CWORD" -eq 2 ]; then`,
      `    COMPREPLY=($(compgen -W "${seconds.join(" ")}" -- "$current"))`,
      "    return",
      "  fi",
    ]),
    `  case "$verb" in ${[...nested.map(([first]) => first), "-"].join("|")}) verb="$verb $second" ;; esac`,
    '  case "$verb" in',
    ...cases,
    "  esac",
    '  case "$current" in',
    // Flags are known with one dash and with two.
    '    --*) COMPREPLY=($(compgen -W "$flags" -- "$current")) ;;',
    '    -*) COMPREPLY=($(compgen -W "${flags//--/-}" -- "$current")) ;;',
    '    *) COMPREPLY=($(compgen -f -- "$current")) ;;',
    "  esac",
    "}",
    "complete -o filenames -F _haplan haplan",
  ].join("\n");
}

function zsh(verbs: readonly CompletionVerb[]): string {
  const groups = words(verbs);
  const describe = (name: string): string =>
    verbs.find((verb) => verb.name === name)?.description ?? [...(groups.get(name) ?? [])].join(", ");
  const item = (name: string, description: string): string => quote(`${name.replaceAll(":", "\\:")}:${description}`);
  const nested = [...groups].filter(([, seconds]) => seconds.length > 0);
  return [
    "#compdef haplan",
    "# zsh completion for haplan: haplan completion zsh > a folder of $fpath, named _haplan",
    "_haplan() {",
    "  local -a verbs flags",
    "  local verb=$words[2]",
    "  if (( CURRENT == 2 )); then",
    `    verbs=(${[...groups.keys()].map((name) => item(name, describe(name))).join(" ")})`,
    "    _describe verb verbs",
    "    return",
    "  fi",
    ...nested.flatMap(([first, seconds]) => [
      `  if [[ $verb == ${first} ]]; then`,
      "    if (( CURRENT == 3 )); then",
      `      verbs=(${seconds.map((second) => item(second, describe(`${first} ${second}`))).join(" ")})`,
      "      _describe verb verbs",
      "      return",
      "    fi",
      '    verb="$verb $words[3]"',
      "  fi",
    ]),
    '  case "$verb" in',
    ...verbs.map(
      ({ name, flags }) =>
        `    ${quote(name)}) flags=(${flags.map((flag) => item(flag.name, flag.description)).join(" ")}) ;;`,
    ),
    "  esac",
    "  if [[ $PREFIX == -* ]]; then _describe flag flags; else _files; fi",
    "}",
    "compdef _haplan haplan",
  ].join("\n");
}

function fish(verbs: readonly CompletionVerb[]): string {
  const groups = words(verbs);
  const lines = ["# fish completion for haplan: haplan completion fish | source"];
  for (const [first, seconds] of groups) {
    const description = verbs.find(({ name }) => name === first)?.description ?? seconds.join(", ");
    lines.push(`complete -c haplan -n __fish_use_subcommand -f -a ${first} -d ${quote(description)}`);
    for (const second of seconds) {
      const about = verbs.find(({ name }) => name === `${first} ${second}`)?.description ?? "";
      const condition = `__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${seconds.join(" ")}`;
      lines.push(`complete -c haplan -n ${quote(condition)} -f -a ${second} -d ${quote(about)}`);
    }
  }
  for (const { name, flags } of verbs) {
    const condition = name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
    for (const flag of flags) {
      const value = flag.takesValue ? " -r" : "";
      lines.push(
        `complete -c haplan -n ${quote(condition)} -l ${flag.name.replace(/^--/, "")}${value} -d ${quote(flag.description)}`,
      );
    }
  }
  return lines.join("\n");
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
