import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { planChanges } from "./planner.ts";

function zoned(zones: readonly (string | null)[]): ClusterSpec {
  const spec = fixtureSpec(
    zones.map((_, index) => `m${index + 1}`),
    { tls: false, workers: 0 },
  );
  const masters = spec.controlPlane.masters.map((master, index) => ({ ...master, zone: zones[index] ?? null }));
  return { ...spec, controlPlane: { ...spec.controlPlane, masters } };
}

const warnings = (spec: ClusterSpec, before = spec): readonly string[] =>
  (
    planChanges(fixtureInput(spec, { state: settledState(before), observed: settledObservation(before) })).plan
      ?.warnings ?? []
  )
    .filter(({ code }) => code !== "plan/no-tls")
    .map(({ summary, detail }) => `${summary}. ${detail}`);

describe("failure domains", () => {
  it.each([
    ["three zones of one", ["a", "b", "c"]],
    ["no zones", [null, null, null]],
    ["five over three zones", ["a", "b", "c", "a", "b"]],
  ])("are in order with %s", (_, zones) => {
    expect(warnings(zoned(zones))).toEqual([]);
  });

  it("warn of a zone whose loss loses the quorum, and say what a cut does", () => {
    const [only, ...rest] = warnings(zoned(["a", "a", "b"]));
    expect(rest).toEqual([]);
    expect(only).toContain("The loss of zone a loses the quorum");
    expect(only).toContain("without it 1 of 3 voters are left, but 2 are needed");
    expect(only).toContain("(2|1) leaves only the larger side writable");
  });

  it("warn of one zone for everything", () => {
    expect(warnings(zoned(["a", "a", "a"]))[0]).toContain("Spread the masters over three zones, at most 1 in each");
  });

  it("tell the story of six that are cut three to three", () => {
    const told = warnings(zoned(["a", "b", "a", "b", "c"]), zoned(["a", "b", "a", "b", "a", "b"]));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("stops all writes of the current 6 voters");
    expect(told[0]).toContain("Partitioned 3|3, no side has 4 of 6");
  });
});
