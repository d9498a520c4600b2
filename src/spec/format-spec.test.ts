// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how specs refer to variables
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { specReader } from "../providers/spec-reader.ts";
import { formatSpec } from "./format-spec.ts";
import { readYaml } from "./yaml-document.ts";

const parseSpec = specReader.parse;

const example = readFileSync(new URL("../../examples/ha-3-masters.yaml", import.meta.url), "utf8");

describe("formatting a spec", () => {
  it("the example is in form already", () => {
    expect(formatSpec(example)).toBe(example);
  });

  it("indentation, blanks and line ends are put right, comments and quotes stay", () => {
    const untidy = [
      "apiVersion:   haplan.dev/v1   # which haplan",
      "kind: Cluster",
      "",
      "# who",
      "metadata: {name: 'demo'}",
      "spec:",
      "     controlPlane:",
      "          members:    ${COUNT:-3}",
      "          masters:",
      "          - {name: m1,address: 127.0.1.1}",
    ].join("\r\n");
    expect(formatSpec(untidy)?.split("\n")).toEqual([
      "apiVersion: haplan.dev/v1 # which haplan",
      "kind: Cluster",
      "",
      "# who",
      "metadata: { name: 'demo' }",
      "spec:",
      "  controlPlane:",
      "    members: ${COUNT:-3}",
      "    masters:",
      "      - { name: m1, address: 127.0.1.1 }",
      "",
    ]);
  });

  it.each(["a: [", "a:\n\tb: 1", ""])("%j is left to validate", (text) => {
    expect(formatSpec(text) ?? "").toBe("");
  });

  it("what it means stays the same, and doing it twice is doing it once", () => {
    const value = fc.jsonValue({ maxDepth: 3 }).filter((json) => JSON.stringify(json).length < 2000);
    fc.assert(
      fc.property(value, fc.constantFrom(2, 3, 4, 8), (json, indent) => {
        const text = stringify({ spec: json }, { indent });
        const once = formatSpec(text);
        if (once === null) return;
        expect(readYaml(once).value).toEqual(readYaml(text).value);
        expect(formatSpec(once)).toBe(once);
      }),
      { numRuns: 200 },
    );
  });

  it("a spec that was valid stays valid", () => {
    const loose = example.replaceAll(": ", ":   ").replaceAll("[2379]", "[  2379  ]");
    const formatted = formatSpec(loose) ?? "";
    expect(parseSpec("f", formatted).spec).toEqual(parseSpec("f", example).spec);
  });
});
