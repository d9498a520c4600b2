// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the shell's
/** Completion scripts for shells, generated from the commands and flags, so that they are always complete. */
export type CompletionFlag = {
  readonly name: string;
  readonly description: string;
  readonly takesValue: boolean;
  /** Null: files. */
  readonly values: CompletionWords | null;
};

/** Fixed words, or words that depend on the directory: addresses in the state, applied clusters, machines in the state. */
export type CompletionWords = readonly string[] | "addresses" | "clusters" | "nodes";

export type CompletionCommand = {
  /** `plan`, `state list`. */
  readonly name: string;
  readonly description: string;
  readonly flags: readonly CompletionFlag[];
  /** The values that it takes; null: files. */
  readonly words: CompletionWords | null;
};

export const completionShells = ["bash", "zsh", "fish"] as const;
export type CompletionShell = (typeof completionShells)[number];

export function renderCompletion(shell: CompletionShell, verbs: readonly CompletionCommand[]): string {
  switch (shell) {
    case "bash":
      return bash(verbs);
    case "zsh":
      return zsh(verbs);
    case "fish":
      return fish(verbs);
  }
}

/** The first words of all commands, and the second words by first word. */
function words(verbs: readonly CompletionCommand[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const { name } of verbs) {
    const [first = "", second] = name.split(" ");
    const group = groups.get(first) ?? [];
    if (second !== undefined) group.push(second);
    groups.set(first, group);
  }
  return groups;
}

/** A shell command that prints the words, one per line or on one line; `program` is how the shell calls haplan. */
function printing(values: CompletionWords, program: string): string {
  if (values === "addresses") return `${program} state list 2>/dev/null`;
  if (values === "nodes") return `${program} state list 2>/dev/null | sed -n "s/^haplan_machine[.]//p"`;
  if (values === "clusters") return "ls .haplan 2>/dev/null";
  return `echo ${values.join(" ")}`;
}

/** Branches of a `case` over flags without dashes; `body` offers the output of a command. */
function valueCases(verbs: readonly CompletionCommand[], body: (values: CompletionWords) => string): readonly string[] {
  const known = new Map(verbs.flatMap(({ flags }) => flags.map(({ name, values }) => [name, values] as const)));
  return [...known].flatMap(([name, values]) =>
    values === null ? [] : [`    ${name.replace(/^--/, "")}) ${body(values)}; return ;;`],
  );
}

function wordCases(verbs: readonly CompletionCommand[], body: (values: CompletionWords) => string): readonly string[] {
  return verbs.flatMap(({ name, words: offered }) =>
    offered === null ? [] : [`    ${quote(name)}) ${body(offered)}; return ;;`],
  );
}

function bash(verbs: readonly CompletionCommand[]): string {
  const groups = words(verbs);
  const nested = [...groups].filter(([, seconds]) => seconds.length > 0);
  const cases = verbs.map(
    ({ name, flags }) => `    ${quote(name)}) flags="${flags.map((flag) => flag.name).join(" ")}" ;;`,
  );
  const offer = (values: CompletionWords): string =>
    `COMPREPLY=($(compgen -W "$(${printing(values, '"${COMP_WORDS[0]}"')})" -- "$current"))`;
  return [
    "# bash completion for haplan: source <(haplan completion bash)",
    "_haplan() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" verb="${COMP_WORDS[1]}" second="${COMP_WORDS[2]}" flags="" flag',
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
    // Bash splits `-target=ADDRESS` into three words.
    '  flag="${COMP_WORDS[COMP_CWORD-1]}"',
    '  if [ "$current" = "=" ]; then current=""',
    '  elif [ "$flag" = "=" ]; then flag="${COMP_WORDS[COMP_CWORD-2]}"; fi',
    '  flag="${flag#-}"; case "$flag" in -*) flag="${flag#-}" ;; esac',
    '  case "$flag" in',
    ...valueCases(verbs, offer),
    "  esac",
    `  case "$verb" in ${[...nested.map(([first]) => first), "-"].join("|")}) verb="$verb $second" ;; esac`,
    '  case "$verb" in',
    ...cases,
    "  esac",
    '  case "$current" in',
    // Flags are completed with one dash and with two.
    '    --*) COMPREPLY=($(compgen -W "$flags" -- "$current")); return ;;',
    '    -*) COMPREPLY=($(compgen -W "${flags//--/-}" -- "$current")); return ;;',
    "  esac",
    '  case "$verb" in',
    ...wordCases(verbs, offer),
    "  esac",
    '  COMPREPLY=($(compgen -f -- "$current"))',
    "}",
    "complete -o filenames -F _haplan haplan",
  ].join("\n");
}

function zsh(verbs: readonly CompletionCommand[]): string {
  const groups = words(verbs);
  const describe = (name: string): string =>
    verbs.find((verb) => verb.name === name)?.description ?? [...(groups.get(name) ?? [])].join(", ");
  const item = (name: string, description: string): string => quote(`${name.replaceAll(":", "\\:")}:${description}`);
  const nested = [...groups].filter(([, seconds]) => seconds.length > 0);
  const offer = (values: CompletionWords): string =>
    typeof values === "string"
      ? `compadd -- \${(f)"$(${printing(values, "$words[1]")})"}`
      : `compadd -- ${values.join(" ")}`;
  return [
    "#compdef haplan",
    "# zsh completion for haplan: haplan completion zsh > a directory of $fpath, named _haplan",
    "_haplan() {",
    "  local -a verbs flags",
    "  local verb=$words[2] flag=$words[CURRENT-1]",
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
    "  if [[ $PREFIX == -*=* ]]; then flag=${PREFIX%%=*}; compset -P '*='; fi",
    '  case "${${flag#-}#-}" in',
    ...valueCases(verbs, offer),
    "  esac",
    "  if [[ $PREFIX == -* ]]; then _describe flag flags; return; fi",
    '  case "$verb" in',
    ...wordCases(verbs, offer),
    "  esac",
    "  _files",
    "}",
    "compdef _haplan haplan",
  ].join("\n");
}

function fish(verbs: readonly CompletionCommand[]): string {
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
  for (const { name, flags, words: offered } of verbs) {
    const condition = name
      .split(" ")
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join("; and ");
    if (offered !== null) lines.push(`complete -c haplan -n ${quote(condition)} -f -a ${fishWords(offered)}`);
    for (const flag of flags) {
      const value = flag.values !== null ? ` -x -a ${fishWords(flag.values)}` : flag.takesValue ? " -r" : "";
      lines.push(
        `complete -c haplan -n ${quote(condition)} -l ${flag.name.replace(/^--/, "")}${value} -d ${quote(flag.description)}`,
      );
    }
  }
  return lines.join("\n");
}

/** A list, or the output of a command at completion time. */
function fishWords(values: CompletionWords): string {
  return quote(typeof values === "string" ? `(${printing(values, "haplan")})` : values.join(" "));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
