/** docs/ARCHITECTURE.md says which room may know which: every import is held against it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { forbiddenImports, importsOf, productSources, readKnowledge, roomOf, root, type Source } from "./imports.ts";

const page = readFileSync(join(root, "docs/ARCHITECTURE.md"), "utf8");
const knowledge = readKnowledge(page);
const sources = productSources();

describe("the table of rooms in docs/ARCHITECTURE.md", () => {
  it("allows every import between rooms", () => {
    expect(forbiddenImports(sources, knowledge)).toEqual([]);
  });

  it("names no room that is not there, and allows nothing that nobody imports", () => {
    const imported = sources.flatMap(importsOf);
    const unused = [...knowledge].flatMap(([room, { rooms, types }]) =>
      [...rooms, ...types]
        .filter((to) => !imported.some((found) => roomOf(found.from) === room && roomOf(found.to) === to))
        .map((to) => `${room} → ${to}`),
    );
    expect(unused).toEqual([]);
    const typesOnly = [...knowledge].flatMap(([room, { rooms }]) =>
      rooms
        .filter((to) =>
          imported.every((found) => roomOf(found.from) !== room || roomOf(found.to) !== to || found.typesOnly),
        )
        .map((to) => `${room} → ${to} needs types only`),
    );
    expect(typesOnly).toEqual([]);
  });

  it.each<[string, string, string]>([
    ["a room that may not know another", "src/plan/probe.ts", 'import { askPresented } from "../control-plane/x.ts";'],
    ["a value where types are allowed", "src/apply/probe.ts", 'import { createJournal } from "../state/journal.ts";'],
    ["a type of a room that is not named", "src/spec/probe.ts", 'import type { Step } from "../plan/step.ts";'],
    ["a value among types", "src/apply/probe.ts", 'import { type Journal, open } from "../state/journal.ts";'],
    ["a lazy import", "src/base/probe.ts", 'const late = await import("../spec/load-spec.ts");'],
    ["a room that the table does not name", "src/novelty/probe.ts", 'import { assert } from "../base/assert.ts";'],
  ])("refuses %s", (_, path, text) => {
    const probe: Source = { path, text };
    expect(forbiddenImports([probe], knowledge)).toHaveLength(1);
  });

  it.each(["types of a room that is named", "type names in a mixed import"])("allows %s", (what) => {
    const text =
      what === "type names in a mixed import"
        ? 'import { type Journal } from "../state/journal.ts";'
        : 'import type { Journal } from "../state/journal.ts";';
    expect(forbiddenImports([{ path: "src/apply/probe.ts", text }], knowledge)).toEqual([]);
  });
});

describe("a provider", () => {
  it("is known by its own files and the one that opens it alone", () => {
    const outside = sources
      .flatMap(importsOf)
      .filter(({ from, to }) => /^src\/providers\/[^/]+\//.test(to) && !from.startsWith(to.replace(/[^/]+$/, "")))
      .map(({ from }) => from);
    expect([...new Set(outside)]).toEqual(["src/providers/open-provider.ts"]);
  });
});

describe("the pure rooms", () => {
  const impure =
    /\b(Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|Date\.now|process\.|performance\.|fetch\()|\bnew Date\(\)|\bnew Promise\b|\basync\b|\bawait\b|from "node:(?!crypto")/;

  it.each(["plan", "raft"])("%s has no IO, clock, promise or randomness of its own", (room) => {
    const files = sources.filter(({ path }) => roomOf(path) === room);
    expect(files.length).toBeGreaterThan(10);
    const found = files.flatMap(({ path, text }) =>
      withoutComments(text)
        .split("\n")
        .filter((line) => impure.test(line))
        .map((line) => `${path}: ${line.trim()}`),
    );
    expect(found).toEqual([]);
  });
});

describe("docs/ARCHITECTURE.md", () => {
  it("names no file that is not there", () => {
    const named = [...page.matchAll(/`((?:src|cmd|test|bench)\/[\w./-]+\.ts)`/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
