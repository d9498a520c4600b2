/** One way to write what TypeScript lets one write in several: private members, constants, test cases. */
import { expect, it } from "vitest";
import { type Source, sourcesBelow } from "./imports.ts";

const rules: readonly (readonly [what: string, instead: string, pattern: RegExp])[] = [
  ["a member with the modifier `private`", "`#name`, which holds at run time too", /^\s*private (?!constructor\b)/],
  ["a constant in capitals", "camelCase", /^\s*(export )?const [A-Z][A-Z0-9_]+\b/],
  ["`test` of vitest", "`it`", /^import \{[^}]*\btest\b[^}]*\} from "vitest"/],
  ["a union that names a member twice", "a name for each", /("[^"]+") \|(?: "[^"]+" \|)* \1(?!\S*\w)/],
];

function breaches({ path, text }: Source): string[] {
  return text
    .split("\n")
    .flatMap((line, at) =>
      rules.flatMap(([what, instead, pattern]) =>
        pattern.test(line) ? [`${path}:${at + 1}: ${what}: use ${instead}`] : [],
      ),
    );
}

it("finds each breach in a file that has all of them", () => {
  const text =
    'import { expect, test } from "vitest";\nconst SOME_MS = 1;\nclass A {\n  private readonly b = 1;\n}\ntype C = "x" | "y" | "x";\n';
  expect(breaches({ path: "a.ts", text })).toHaveLength(rules.length);
});

it("finds none in the sources, except in what a generator writes", () => {
  const sources = sourcesBelow("src", "cmd", "test", "bench").filter(({ path }) => !path.includes("/gen/"));
  expect(sources.length).toBeGreaterThan(800);
  expect(sources.flatMap(breaches)).toEqual([]);
});
