/** Sources, tests and docs are written in the words of docs/style.md. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type BannedWord, bannedWords, findBannedWords, readPages, readTops } from "./banned-words.ts";
import { root } from "./imports.ts";

const self = /^(test\/structure\/banned-words(\.test)?\.ts|docs\/style\.md)$/;
const isRead = (path: string): boolean =>
  /\.(ts|mjs|md|txt|ya?ml|json)$/.test(path) && !/(^|\/)(gen|node_modules)\//.test(path) && !self.test(path);

const paths = [
  ...readTops.flatMap((top) =>
    readdirSync(join(root, top), { recursive: true, encoding: "utf8" }).map((path) => join(top, path)),
  ),
  ...readPages,
].filter(isRead);

describe("banned words", () => {
  it("do not occur in names of files", () => {
    expect(paths.flatMap((path) => findBannedWords(path, path)).map(({ path, use }) => `${path}: ${use}`)).toEqual([]);
  });

  it("do not occur in comments, strings, identifiers and pages", () => {
    const found = paths.flatMap((path) => findBannedWords(path, readFileSync(join(root, path), "utf8")));
    expect(found.map(({ path, line, word, use }) => `${path}:${line}: "${word}": ${use}`)).toEqual([]);
  });

  it("are allowed only where files are, with a reason", () => {
    const allowed = bannedWords.flatMap(({ allowed = {} }) => Object.entries(allowed));
    expect(allowed.filter(([path, reason]) => reason === "" || !existsSync(join(root, path)))).toEqual([]);
  });

  const directory: BannedWord = { words: ["folder"], use: "directory", allowed: { "src/kept/": "a name of its own" } };
  it.each<[string, string, number]>([
    ["src/a.ts", "// the folder of a machine", 1],
    ["src/a.ts", "const lockFolder = open(FOLDER_NAME);", 2],
    ["src/a.ts", 'throw new Error("no folder");', 1],
    ["src/a.ts", "unfolderly folders", 0],
    ["src/kept/a.ts", "const folder = 1;", 0],
  ])("are found in %s: %s", (path, text, count) => {
    expect(findBannedWords(path, text, [directory])).toHaveLength(count);
  });
});
