import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";

const masters = (count: number): ClusterSpec => fixtureSpec(["m1", "m2", "m3", "m4", "m5"].slice(0, count));
const five = masters(5);

/** The warnings of a change of five masters, some of which are unreachable. */
function warned(spec: ClusterSpec, away: readonly string[], more: Partial<PlannerInput> = {}): readonly string[] {
  const settled = settledObservation(five);
  const observed = {
    ...settled,
    machines: settled.machines.filter(({ name }) => !away.includes(name)),
    unreachable: away.map((name) => ({ name, reason: "no route to host" })),
    membership: settled.membership && {
      ...settled.membership,
      members: settled.membership.members.map((member) =>
        away.includes(member.name) ? { ...member, healthy: false, raftIndex: null, leader: false } : member,
      ),
    },
  };
  const { plan, refusal } = planChanges(fixtureInput(spec, { state: settledState(five), observed, ...more }));
  if (refusal !== undefined) throw new Error(refusal.map(({ summary }) => summary).join());
  return plan.warnings
    .filter(({ code }) => code === "plan/no-spare-voter")
    .map(({ summary, detail }) => `${summary}\n${detail}`);
}

const heartbeat: ClusterSpec = { ...five, controlPlane: { ...five.controlPlane, heartbeatIntervalMs: 50 } };

describe("a plan while members are unreachable", () => {
  it("warns that a shrink leaves no spare voter, with the step and until when", () => {
    const [warning, ...others] = warned(masters(3), ["m2"]);
    expect(others).toEqual([]);
    expect(warning).toMatch(/^Step \d+ \(change voters: .*\) leaves no spare voter while m2 is unreachable\n/);
    expect(warning).toContain("2 of 3 voters are healthy then, and 2 are needed: writes stop if another one fails.");
    expect(warning).toContain("This lasts until m2 answers.");
  });

  it("warns of a rolling update that does so for a moment", () => {
    const [warning] = warned(heartbeat, ["m2"]);
    expect(warning).toContain("leaves no spare voter while m2 is unreachable");
    expect(warning).toContain("3 of 5 voters are healthy then, and 3 are needed");
    expect(warning).toContain("It lasts until a later step of this plan.");
  });

  it.each<[string, ClusterSpec, readonly string[]]>([
    ["all answer", masters(3), []],
    ["nothing changes", five, ["m2"]],
    ["there is no spare voter already", five, ["m2", "m3"]],
  ])("does not warn where %s", (_, spec, away) => {
    expect(warned(spec, away)).toEqual([]);
  });
});
