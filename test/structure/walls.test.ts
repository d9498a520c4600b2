/** Checks every import against the table of modules in docs/ARCHITECTURE.md. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { providerSchemas } from "../../src/providers/registry.ts";
import {
  forbiddenImports,
  importsOf,
  moduleOf,
  productSources,
  readImportTable,
  root,
  type Source,
} from "./imports.ts";

const page = readFileSync(join(root, "docs/ARCHITECTURE.md"), "utf8");
const allowed = readImportTable(page);
const sources = productSources();

describe("the table of modules in docs/ARCHITECTURE.md", () => {
  it("allows every import between modules", () => {
    expect(forbiddenImports(sources, allowed)).toEqual([]);
  });

  it("lists no missing module and no unused import", () => {
    const imported = sources.flatMap(importsOf);
    const unused = [...allowed].flatMap(([module, { modules, types }]) =>
      [...modules, ...types]
        .filter((to) => !imported.some((found) => moduleOf(found.from) === module && moduleOf(found.to) === to))
        .map((to) => `${module} → ${to}`),
    );
    expect(unused).toEqual([]);
    const typesOnly = [...allowed].flatMap(([module, { modules }]) =>
      modules
        .filter((to) =>
          imported.every((found) => moduleOf(found.from) !== module || moduleOf(found.to) !== to || found.typesOnly),
        )
        .map((to) => `${module} → ${to} needs types only`),
    );
    expect(typesOnly).toEqual([]);
  });

  it.each<[string, string, string]>([
    [
      "an import of a module that is not listed",
      "src/plan/probe.ts",
      'import { askPresented } from "../control-plane/x.ts";',
    ],
    [
      "a value import where only types are allowed",
      "src/apply/probe.ts",
      'import { createJournal } from "../state/journal.ts";',
    ],
    [
      "a type import of a module that is not listed",
      "src/spec/probe.ts",
      'import type { Step } from "../plan/step.ts";',
    ],
    ["a value among imported types", "src/apply/probe.ts", 'import { type Journal, open } from "../state/journal.ts";'],
    ["a dynamic import", "src/base/probe.ts", 'const late = await import("../spec/spec-reader.ts");'],
    [
      "an import by a module that the table lacks",
      "src/novelty/probe.ts",
      'import { assert } from "../base/assert.ts";',
    ],
  ])("rejects %s", (_, path, text) => {
    const probe: Source = { path, text };
    expect(forbiddenImports([probe], allowed)).toHaveLength(1);
  });

  it.each(["types of a listed module", "type names in a mixed import"])("allows %s", (what) => {
    const text =
      what === "type names in a mixed import"
        ? 'import { type Journal } from "../state/journal.ts";'
        : 'import type { Journal } from "../state/journal.ts";';
    expect(forbiddenImports([{ path: "src/apply/probe.ts", text }], allowed)).toEqual([]);
  });
});

describe("a provider", () => {
  const registry = "src/providers/registry.ts";
  /** What haplan-host does on its machine is what the local provider does. */
  const hostProgram = "cmd/haplan-host/main.ts";

  /** A copy of a cluster is one of provider local, whatever the cluster's own provider is. */
  const isOfCopies = (path: string): boolean => /^(src\/rehearse|cmd\/haplan-rehearsal)\//.test(path);

  /** Its instances are hosts that ssh reaches. */
  const onSshHosts = "src/providers/aws/";

  it("is imported only by its own files, the registry, aws for hosts over ssh, and for local ones the program on a host and copies", () => {
    const outside = sources
      .flatMap(importsOf)
      .filter(({ from, to }) => /^src\/providers\/[^/]+\//.test(to) && !from.startsWith(to.replace(/[^/]+$/, "")))
      .filter(({ from, to }) => !(from.startsWith(onSshHosts) && to.startsWith("src/providers/ssh/")))
      .filter(({ from, to }) => !(isOfCopies(from) && to.startsWith("src/providers/local/")))
      .map(({ from }) => from);
    expect([...new Set(outside)].toSorted()).toEqual([hostProgram, registry]);
  });

  /** Not the backend of the state that is called local as well. */
  const aboutLocal = /provider[^\n]*"local"|provider local|loopback|\b127\.0\.[1-9]/i;
  const namesLocal = ({ path, text }: Source): boolean =>
    !path.startsWith("src/providers/local/") && path !== registry && aboutLocal.test(text);

  it("named local, its addresses and its defaults are known by its own files and the registry alone", () => {
    expect(sources.filter((source) => namesLocal(source) && !isOfCopies(source.path)).map(({ path }) => path)).toEqual(
      [],
    );
  });

  it("is named by no code but its own and the registry's", () => {
    const types = providerSchemas.map(({ type }) => type);
    const naming = sources.filter(
      ({ path, text }) =>
        path !== registry &&
        !isOfCopies(path) &&
        types.some(
          (type) => !path.startsWith(`src/providers/${type}/`) && text.includes(`provider.type === "${type}"`),
        ),
    );
    expect(types.length).toBeGreaterThan(1);
    expect(naming.map(({ path }) => path)).toEqual([]);
  });

  it.each([
    'if (spec.provider.type === "local") return;',
    'const address = "127.0.1.100";',
    'const detail = "With provider local the masters may be left out.";',
  ])("named local is found in a source that holds %s", (text) => {
    expect(namesLocal({ path: "src/spec/rules/probe.ts", text })).toBe(true);
    expect(namesLocal({ path: "src/providers/local/probe.ts", text })).toBe(false);
  });
});

/** Of imports only those of files: no module of Node.js, no package, and none that is loaded later. */
const impure =
  /\b(Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|Date\.now|process\.\w|performance\.\w|crypto\.\w|globalThis|fetch\()|\bnew Date\(\)|\bPromise\b|\basync\b|\bawait\b|\b(from|import) "[^."]|\bimport\(/;

const impureLines = (text: string): string[] => text.split("\n").filter((line) => impure.test(line));

describe("the pure modules", () => {
  it.each(["plan", "raft"])("%s has no IO, clock, promise or randomness", (module) => {
    const files = sources.filter(({ path }) => moduleOf(path) === module);
    expect(files.length).toBeGreaterThan(10);
    const found = files.flatMap(({ path, text }) =>
      impureLines(withoutComments(text)).map((line) => `${path}: ${line.trim()}`),
    );
    expect(found).toEqual([]);
  });
});

describe("the test of pure modules", () => {
  it.each([
    'import { execa } from "execa";',
    'import "node:fs";',
    'import("node:fs").then(use);',
    'import { randomBytes } from "node:crypto";',
    "const now = new globalThis.Date();",
    "const later = Promise.resolve();",
  ])("finds %s", (line) => {
    expect(impureLines(line)).toEqual([line]);
  });
});

describe("docs/ARCHITECTURE.md", () => {
  it("names no missing file", () => {
    const named = [...page.matchAll(/`((?:src|cmd|test|bench)\/[\w./-]+\.ts)`/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
