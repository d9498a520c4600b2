/** docs/accidents.md names tests: each exists, in the file that is named, and so does the row of its table. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "./imports.ts";

const page = readFileSync(join(root, "docs/accidents.md"), "utf8");
const rows = page.split("\n").filter((line) => /^\| (?!what happened)[^-]/.test(line));

/** `[path](../path) "suite > test"` */
type NamedTest = { readonly text: string; readonly path: string; readonly target: string; readonly name: string };

function testsIn(text: string): readonly NamedTest[] {
  return [...text.matchAll(/\[([^\]]+)\]\((\S+\.test\.ts)\) "([^"]+)"/g)].map(([, path, target, name]) => ({
    text: `${path} "${name}"`,
    path: path!,
    target: target!,
    name: name!,
  }));
}

/** Titles of suites and tests as they are written, with their placeholders. */
function titlesOf(source: string): readonly string[] {
  const call = /(?:\b(?:it|describe|itByHand|describeHosts)(?:\.\w+)*\(|\)\(|\]>\()\s*(["`])((?:(?!\1)[^\\]|\\.)*)\1/g;
  return [...source.matchAll(call)].map(([, , title]) => title!);
}

/** Whether a title, with values of the source in the place of its placeholders, is this name. */
function isWrittenAs(source: string, name: string): boolean {
  return titlesOf(source).some((title) => {
    // `%s`, `%i`, `$name` come from the rows of a table; `${…}` is computed.
    const pattern = title
      .split(/(\$\{(?:[^{}]|\{[^}]*\})*\}|%[sidj]|\$\w+)/)
      .map((part, at) =>
        at % 2 === 0 ? part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : part.startsWith("${") ? ".*" : "(.+)",
      );
    const found = new RegExp(`^${pattern.join("")}$`).exec(name);
    if (found === null) return false;
    return found.slice(1).every((value) => /^\d+$/.test(value) || source.includes(`"${value}"`));
  });
}

describe("docs/accidents.md", () => {
  it("names a test for each accident", () => {
    expect(rows.length).toBeGreaterThan(15);
    expect(rows.filter((row) => testsIn(row).length === 0)).toEqual([]);
  });

  it.each(testsIn(page).map((test) => [test.text, test] as const))("is right about %s", (_, { path, target, name }) => {
    expect(target).toBe(`../${path}`);
    expect(existsSync(join(root, path)), "there is no such file").toBe(true);
    const source = readFileSync(join(root, path), "utf8");
    expect(name.split(" > ").filter((part) => !isWrittenAs(source, part))).toEqual([]);
  });

  it.each([
    ['it("starts", () => {', "starts", true],
    ['it("starts", () => {', "start", false],
    ['it.each([["m1", 1]])("starts %s (%i)", () => {', "starts m1 (3)", true],
    ['it.each([["m1", 1]])("starts %s (%i)", () => {', "starts m2 (1)", false],
    [`describe.skipIf(missing)(\`two (\${engine})\${missing ? " (skipped)" : ""}\`, () => {`, "two (etcd)", true],
    ['const told = "starts";', "starts", false],
  ])("finds in %s the test %s: %s", (source, name, expected) => {
    expect(isWrittenAs(source, name)).toBe(expected);
  });
});
