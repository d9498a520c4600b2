import { describe, expect, it } from "vitest";
import { specReader } from "../../providers/spec-reader.ts";

const parseSpec = specReader.parse;

function specWith(moved: string): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  controlPlane:
    moved: ${moved}
    masters:
      - { name: m8, address: 127.0.2.1 }
      - { name: m2, address: 127.0.2.2 }
      - { name: m3, address: 127.0.2.3 }
  workers: [{ name: w1, address: 127.0.2.9 }]
`;
}

describe("masters that had other names", () => {
  it("T2: lead from every former name to the present one", () => {
    const { spec, diagnostics } = parseSpec("f", specWith("[{ from: m1, to: m5 }, { from: m5, to: m8 }]"));
    expect(diagnostics).toEqual([]);
    expect(spec?.controlPlane.moved).toEqual([
      { from: "m1", to: "m8" },
      { from: "m5", to: "m8" },
    ]);
    expect(parseSpec("f", specWith("[]")).spec?.controlPlane).not.toHaveProperty("moved");
  });

  it.each([
    ["itself", "[{ from: m1, to: m1 }]", "6:29 m1 is moved to itself"],
    ["a name that is in use", "[{ from: m2, to: m8 }]", "6:21 The spec still lists a master m2"],
    ["a worker's name", "[{ from: w1, to: m8 }]", "6:21 The spec still lists a worker w1"],
    ["one name twice", "[{ from: m1, to: m8 }, { from: m1, to: m2 }]", "6:43 Ambiguous move: m1 moves to m8 and to m2"],
    [
      "one entry twice",
      "[{ from: m1, to: m8 }, { from: m1, to: m8 }]",
      "6:43 Ambiguous move: m1 to m8 is listed twice",
    ],
    ["a name that is not in use", "[{ from: m1, to: m9 }]", "6:29 The spec lists no master m9"],
    ["a worker", "[{ from: m1, to: w1 }]", "6:29 w1 is a worker"],
    ["a circle", "[{ from: m1, to: m4 }, { from: m4, to: m1 }]", "6:29 The spec lists no master m1"],
    ["no value", "[{ from: m1, to: null }]", "6:29 spec.controlPlane.moved[0].to must be a string, but is empty"],
    ["no name", "[{ from: m1 }]", '6:13 spec.controlPlane.moved[0] has no "to"'],
    ["a string", "m1", "6:12"],
  ])("T2: are refused with %s, with line and column", (_, moved, expected) => {
    const told = parseSpec("f", specWith(moved)).diagnostics.map(
      ({ range, summary }) => `${range?.start.line}:${range?.start.column} ${summary}`,
    );
    expect(told[0]).toContain(expected);
  });

  it("B3: are refused where two move to one name, also at the end of a chain", () => {
    const told = (moved: string): readonly string[] =>
      parseSpec("f", specWith(moved)).diagnostics.map(
        ({ range, summary }) => `${range?.start.line}:${range?.start.column} ${summary}`,
      );
    expect(told("[{ from: m1, to: m8 }, { from: m4, to: m8 }]")).toEqual([
      "6:51 Ambiguous move: m1 and m4 both move to m8",
    ]);
    expect(told("[{ from: m1, to: m5 }, { from: m5, to: m8 }, { from: m4, to: m5 }]")).toEqual([
      "6:73 Ambiguous move: m1 and m4 both move to m5",
    ]);
    expect(told("[{ from: m1, to: m8 }, { from: m4, to: m2 }]")).toEqual([]);
  });

  it("B3: tells to leave an empty line out only where its key may be left out", () => {
    const detail = (moved: string): string => parseSpec("f", specWith(moved)).diagnostics[0]?.detail ?? "";
    expect(detail("[{ from: m1, to: null }]")).toMatch(/^Write a string: its name in masters\.$/);
    expect(detail("null")).toContain("Or leave the line out, if it is not needed.");
    const host = specWith("[]").replace("address: 127.0.2.1 ", "address: null ");
    expect(parseSpec("f", host).diagnostics[0]?.detail).not.toContain("leave the line out");
  });
});
