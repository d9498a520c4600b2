import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { specReader } from "../providers/spec-reader.ts";

const parseSpec = specReader.parse;

const example = readFileSync(new URL("../../examples/ha-3-masters.yaml", import.meta.url), "utf8");

/** The example with its first `from` replaced. */
function changed(from: string, to: string): string {
  if (!example.includes(from)) throw new Error(`nothing to replace: ${from}`);
  return example.replace(from, to);
}

/** All diagnostics of a text, as `line:column code: summary / detail`. */
function told(text: string): readonly string[] {
  return parseSpec("cluster.yaml", text).diagnostics.map(
    ({ code, range, summary, detail }) =>
      `${range?.start.line}:${range?.start.column} ${code}: ${summary} / ${detail ?? ""}`,
  );
}

describe("one mistake in the YAML of a spec is one error", () => {
  it.each([
    // Indentation: the line that differs from its neighbors is named, not the one at which the parser stopped.
    ["a first key too deep", changed("  provider:", "   provider:"), /^15:4 .* 3 spaces, .* by 2 spaces, like line 17/],
    [
      "a key too shallow",
      changed("  controlPlane:", " controlPlane:"),
      /^17:2 .* 1 space, .* by 2 spaces, like line 15/,
    ],
    ["an item too deep", changed("      - name: m2", "       - name: m2"), /^28:8 .* by 6 spaces, like line 25/],
    ["an item too shallow", changed("      - name: m2", "     - name: m2"), /^28:6 .* by 6 spaces, like line 25/],
    [
      "a key of an item too deep",
      changed("        zone: b", "         zone: b"),
      /^29:10 .* by 8 spaces, like line 28/,
    ],
    [
      "a key of an item too shallow",
      changed("        zone: b", "       zone: b"),
      /^29:8 .* by 8 spaces, like line 28/,
    ],
    ["an item below a value", changed("      - name: m2", "        - name: m2"), /^28:9 .* by 6 spaces, like line 25/],
    ["a key below a value", "a: 1\n  b: 2\n", /^2:3 .* 2 spaces, .*Do not indent it: line 1/],
    ["a list item among keys", "a:\n  b: 1\n  - c\n", /^3:3 .*A list item is among the keys that begin at line 2/],
    ["a key among list items", "a:\n  - c\n  b: 1\n", /^3:3 .*A key is among the list items that begin at line 2/],
    ["a tab", changed("  controlPlane:", "\tcontrolPlane:"), /^17:1 spec\/tab: .* Replace the tab by two spaces/],
    ["several tabs", example.replaceAll("    ", "\t"), /^19?\d?:1 spec\/tab/],
    // Colons and spaces.
    ["a key without colon", changed("controlPlane:", "controlPlane"), /^17:3 .* no colon .*Write `controlPlane:`/],
    ["an item without colon", changed("name: m2", "name m2"), /^28:9 .* no colon .*Write `name: m2`/],
    ["an equals sign", changed("members: 3", "members = 3"), /^18:5 .* no colon .*Write `members: 3`/],
    ["no space after a colon", changed("engine: agent", "engine:agent"), /^19:5 .* no space .*Write `engine: agent`/],
    ["no space after a dash", changed("- name: m2", "-name: m2"), /^28:7 .* no space after the dash .*`- name: m2`/],
    ["a colon in a value", changed("name: demo", "name: a: b"), /^13:9 .* two colons .*`"a: b"`/],
    // Quotes and brackets: where they are opened.
    [
      "a quote without end",
      changed("name: m1", 'name: "m1'),
      /^25:15 .*opened here and not closed .* Write " at the end/,
    ],
    ["a single quote without end", changed("name: m1", "name: 'm1"), /^25:15 .* Write ' at the end/],
    [
      "two quotes without end",
      changed("name: m1", 'name: "m1').replace("name: m2", 'name: "m2"'),
      /^25:15 .*not closed/,
    ],
    ["text after a quote", changed("name: demo", 'name: "a" b'), /^13:13 .*Remove `b`/],
    ["a list without end", changed("[2379]", "[2379"), /^42:12 .*A \[ is opened here .* Write \] after/],
    ["a list closed otherwise", changed("[2379]", "[2379}"), /^42:17 .*A \[ is closed with } .*Write \]/],
    ["a mapping without end", changed("name: demo", "name: { a: 1"), /^13:9 .*A { is opened here .* Write }/],
    ["a bracket too many", changed("[2379]", "[2379]]"), /^42:18 .*Remove the \]/],
    ["no comma", changed("[2379]", "{ a: 1 b: 2 }"), /^42:17 .*comma/],
    // Other things that are not YAML.
    ["a reserved character", changed("name: demo", "name: @demo"), /^13:9 .*cannot begin with @ .*`"@demo"`/],
    ["a star", changed("name: demo", "name: *"), /^13:9 .*cannot begin with \*/],
    ["a comment without space", changed("name: demo #", "name: 'demo'#"), /^13:15 .*Write a space before the #/],
    ["an escape", changed("name: demo", 'name: "a\\q"'), /^13:11 .*not an escape sequence .*Write \\\\ for/],
    ["two documents", `${example}---\na: 1\n`, /^43:1 spec\/several-documents/],
    [
      "unresolved merge conflict",
      `${example}<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> b\n`,
      /^43:1 spec\/merge-conflict/,
    ],
    [
      "what no rule knows",
      changed("name: demo", "name: &a &b demo"),
      /^13:12 spec\/yaml: This is not YAML \/ The YAML parser says/,
    ],
    // Valid YAML, but no JSON.
    ["a key twice", changed("spec:\n", "spec:\nspec:\n"), /^15:1 spec\/duplicate-key: .* The first one is on line 14/],
    ["a list twice", changed("  workers:", "  workers: []\n  workers:"), /^35:3 spec\/duplicate-key: .* on line 34/],
  ])("T low: %s", (_, text, expected) => {
    expect(told(text)).toEqual([expect.stringMatching(expected)]);
  });

  const lines = example.split("\n");
  const shifted = lines.flatMap((line, index) =>
    /^ *(- )?\w+:/.test(line) ? [1, -1].map((by) => ({ index, by })) : [],
  );

  it("T low: a line of the example moved by one space is named itself, or the spec is rejected for what it means then", () => {
    const elsewhere = shifted.flatMap(({ index, by }) => {
      const line = lines[index] ?? "";
      if (by < 0 && !line.startsWith(" ")) return [];
      const text = lines.with(index, by > 0 ? ` ${line}` : line.slice(1)).join("\n");
      const { diagnostics } = parseSpec("cluster.yaml", text);
      const syntax = diagnostics.filter(({ code }) => code === "spec/indentation" || code === "spec/yaml");
      if (syntax.length === 0) return [];
      const named = diagnostics[0]?.range?.start.line;
      return syntax.length === 1 && diagnostics.length === 1 && named === index + 1
        ? []
        : [`${index + 1} ${by}: ${told(text)}`];
    });
    expect(elsewhere).toEqual([]);
  });
});
