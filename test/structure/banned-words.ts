/** Words that docs/style.md rules out, each with what to write instead. */

export type BannedWord = {
  /** Matched against whole words; the parts of an identifier (`lockFolder`: lock, folder) are words. */
  readonly words: readonly string[];
  readonly use: string;
  /** Paths, or prefixes of paths, where the word has a meaning of its own. */
  readonly allowed?: Readonly<Record<string, string>>;
};

/** Tests of the agent that are still to be rewritten: remove each one with its last finding. */
const pending: Readonly<Record<string, string>> = { "test/compatibility/": "not rewritten yet" };
const askCode = "the code cli/nobody-to-ask is stable";

export const bannedWords: readonly BannedWord[] = [
  { words: ["whoever", "somebody", "everybody", "anybody"], use: "it, any member, another process", allowed: pending },
  {
    words: ["nobody"],
    use: "no member, no process",
    allowed: { ...pending, "cmd/haplan/approve.ts": askCode, "cmd/haplan/commands/force-unlock.ts": askCode },
  },
  { words: ["wish", "wishes"], use: "option, request" },
  { words: ["surroundings"], use: "environment" },
  {
    words: ["verdict", "verdicts"],
    use: "planned action, result",
    allowed: { "test/simulator/": "the result of a linearizability check" },
  },
  { words: ["outlook"], use: "changes" },
  { words: ["stranger", "strangers"], use: "foreign, unknown, other", allowed: pending },
  { words: ["loyal", "loyalty", "haste"], use: "leader stickiness, priority" },
  { words: ["mend", "mends", "mended", "mending"], use: "fix, repair" },
  { words: ["rooms"], use: "module", allowed: { "docs/ARCHITECTURE.md": "the picture of the house" } },
  { words: ["folder", "folders"], use: "directory" },
  { words: ["colour", "colours", "coloured"], use: "color" },
  { words: ["behaviour", "behaviours"], use: "behavior" },
  {
    words: ["favour", "favours", "favoured", "honour", "honours", "neighbour", "neighbours"],
    use: "-or: favor, neighbor",
  },
  { words: ["labelled", "unlabelled", "signalled", "travelled", "modelled"], use: "one l: labeled, signaled" },
  { words: ["normalise", "normalised", "serialise", "serialised", "recognise", "recognised"], use: "-ize: normalize" },
  { words: ["initialise", "initialised", "organise", "summarise", "authorise", "authorised"], use: "-ize: initialize" },
  { words: ["towards", "whilst", "amongst"], use: "toward, while, among" },
  { words: ["licence", "centre", "catalogue", "grey", "fulfil"], use: "license, center, catalog, gray, fulfill" },
  { words: ["dozed", "dozes", "doze"], use: "paused" },
  { words: ["sieve", "sieves"], use: "stage" },
];

/** Everything below these is read; generated code is not. */
export const readTops: readonly string[] = [
  "src",
  "cmd",
  "test",
  "bench",
  "docs",
  "examples",
  "scripts",
  "schema",
  "ui",
];
export const readPages: readonly string[] = ["README.md", "CHANGELOG.md"];

export type Finding = { readonly path: string; readonly line: number; readonly word: string; readonly use: string };

/** Banned words of one text, in order. */
export function findBannedWords(path: string, text: string, banned: readonly BannedWord[] = bannedWords): Finding[] {
  const uses = usesFor(path, banned);
  return text.split("\n").flatMap((line, index) =>
    wordsOf(line).flatMap((word) => {
      const use = uses.get(word);
      return use === undefined ? [] : [{ path, line: index + 1, word, use }];
    }),
  );
}

function usesFor(path: string, banned: readonly BannedWord[]): ReadonlyMap<string, string> {
  return new Map(
    banned
      .filter(({ allowed = {} }) => !Object.keys(allowed).some((prefix) => path.startsWith(prefix)))
      .flatMap(({ words, use }) => words.map((word) => [word, use] as const)),
  );
}

/** `LOCK_FOLDER`, `lockFolder` and "lock folder" are the same two words. */
function wordsOf(line: string): string[] {
  return (line.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+/g) ?? []).map((word) => word.toLowerCase());
}
