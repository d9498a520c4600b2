import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation } from "../../test/support/planned-cluster.ts";
import { decodePlanFile, encodePlanFile, looksLikePlanFile } from "./plan-file.ts";
import { currentBinding, planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import { checkStaleness } from "./staleness.ts";

const spec = fixtureSpec(["m1", "m2", "m3"]);
const input = fixtureInput(spec);
const plan = planChanges(input).plan!;

describe("A plan file", () => {
  it("holds a plan and gives it back", () => {
    const text = encodePlanFile(plan);
    expect(looksLikePlanFile(text)).toBe(true);
    expect(looksLikePlanFile("apiVersion: haplan.dev/v1\n")).toBe(false);
    expect(decodePlanFile(text)).toEqual({ plan, source: null });
    const source = { path: "cluster.yaml", digest: "abc" };
    expect(decodePlanFile(encodePlanFile(plan, source))).toEqual({ plan, source });
  });

  it.each([
    ["a spec", "kind: Cluster\n", "plan-file/unreadable"],
    ["another JSON file", "[1]", "plan-file/unreadable"],
    ["a file that is cut off", encodePlanFile(plan).slice(0, -20), "plan-file/unreadable"],
    ["a file of the future", encodePlanFile(plan).replace('"version": 1', '"version": 2'), "plan-file/version"],
    ["an edited plan", encodePlanFile(plan).replace("127.0.1.2", "127.0.1.4"), "plan-file/damaged"],
  ])("is refused when it is %s", (_, text, code) => {
    expect(decodePlanFile(text).problem?.code).toBe(code);
  });
});

describe("checkStaleness", () => {
  const settled = settledObservation(spec);
  const membership = settled.membership!;
  const moves: readonly (readonly [string, Partial<PlannerInput>, RegExp])[] = [
    ["the spec", { specDigest: "edited" }, /the spec: it was edited/],
    ["the state's serial", { state: { ...input.state!, serial: 13 } }, /serial is 13, planned for 12/],
    ["the state itself", { state: { ...input.state!, lineage: "other" } }, /another lineage \(other/],
    ["the version of haplan", { haplanVersion: "0.2.0" }, /planned by version 0.1.0, this is 0.2.0/],
    [
      "a voter",
      { observed: { ...settled, membership: { ...membership, members: membership.members.slice(1) } } },
      /voter id-m1 is gone/,
    ],
    [
      "the cluster",
      { observed: { ...settled, membership: { ...membership, clusterId: "c2" } } },
      /another cluster answers/,
    ],
    [
      "the membership and back again",
      { observed: { ...settled, membership: { ...membership, configurationIndex: 17 } } },
      /last change is at log index 17, planned for 5/,
    ],
    ["whether any member answers", { observed: { ...settled, membership: null } }, /no member answers/],
  ];

  it("has nothing to say while nothing has moved", () => {
    expect(checkStaleness(plan, currentBinding(input))).toBeNull();
  });

  it.each(moves)("names %s when it has moved", (_, change, text) => {
    const stale = checkStaleness(plan, currentBinding({ ...input, ...change }));
    expect(stale?.summary).toBe("Saved plan is stale");
    expect(stale?.detail).toMatch(text);
  });

  it("names everything that has moved at once", () => {
    const stale = checkStaleness(plan, currentBinding({ ...input, specDigest: "edited", haplanVersion: "9.0.0" }));
    expect(stale?.detail?.match(/^ {2}- /gm)).toHaveLength(2);
  });
});
