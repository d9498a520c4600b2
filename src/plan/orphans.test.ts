/** T9: processes of a cluster whose directory is gone; and a member whose data is gone while it runs. */
import { describe, expect, it } from "vitest";
import {
  emptyObservation,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ObservedOrphan } from "./observed-cluster.ts";
import { planChanges } from "./planner.ts";

const spec = fixtureSpec(["m1", "m2", "m3"]);
const orphans: readonly ObservedOrphan[] = [
  { machine: "m2", unit: "agent", pid: 812 },
  { machine: "m1", unit: "agent", pid: 811 },
  { machine: "w1", unit: "worker", pid: 813 },
];

describe("processes whose machine is gone", () => {
  it("T9: are never stopped to make the cluster anew: the plan is refused, and names them and the way", () => {
    const input = fixtureInput(spec, { state: null, observed: { ...emptyObservation, orphans } });
    const { refusal } = planChanges(input);
    expect(refusal).toMatchObject([{ code: "plan/running-without-state", commands: [["destroy"]] }]);
    expect(refusal?.[0]?.detail).toContain("  m1: agent (pid 811)\n  m2: agent (pid 812)\n  w1: worker (pid 813)\n");
  });

  it("T9: are stopped by destroy, which names them", () => {
    const input = fixtureInput(spec, { state: null, mode: "destroy", observed: { ...emptyObservation, orphans } });
    const { plan } = planChanges(input);
    expect(plan?.steps.map(({ title }) => title)).toEqual([
      "destroy machine m1",
      "destroy machine m2",
      "destroy machine w1",
    ]);
    expect(plan?.changes).toMatchObject([
      {
        action: "delete",
        address: "haplan_machine.m1",
        reason: "its directory is gone, but these run: agent (pid 811)",
      },
      { address: "haplan_machine.m2" },
      { address: "haplan_machine.w1" },
    ]);
  });

  it("T9: are warned of where the rest of the cluster is there, and destroyed with it", () => {
    const observed = settledObservation(spec);
    const partly = {
      ...observed,
      machines: observed.machines.filter(({ name }) => name !== "w1"),
      orphans: orphans.slice(2),
    };
    const more = { state: settledState(spec), observed: partly };
    expect(planChanges(fixtureInput(spec, more)).plan?.warnings).toMatchObject([
      { code: "plan/orphaned-process", detail: expect.stringContaining("  w1: worker (pid 813)") },
    ]);
    const { plan } = planChanges(fixtureInput(spec, { ...more, mode: "destroy" }));
    expect(plan?.steps.map(({ title }) => title)).toContain("destroy machine w1");
  });
});

describe("a member whose data directory was removed while it runs", () => {
  const without = (...names: readonly string[]): ReturnType<typeof planChanges> => {
    const observed = settledObservation(spec);
    const machines = observed.machines.map((machine) =>
      names.includes(machine.name) ? { ...machine, hasData: false } : machine,
    );
    return planChanges(fixtureInput(spec, { state: settledState(spec), observed: { ...observed, machines } }));
  };

  it("T9, T low: is shown as drift and recreated", () => {
    const { plan } = without("m2");
    expect(plan?.drift).toMatchObject([
      { address: "haplan_agent.m2", reason: "its data directory is gone while it runs" },
    ]);
    expect(plan?.changes.filter(({ action }) => action !== "noop")).toMatchObject([
      { address: "haplan_machine.m2", action: "deleteThenCreate", forcesReplacement: [] },
      { address: "haplan_agent.m2" },
      { address: "haplan_raft_member.m2" },
    ]);
  });

  it("T9: is one of all, which are recreated one at a time while the others still hold the data", () => {
    const { plan } = without("m1", "m2", "m3");
    expect(plan?.steps.filter(({ action }) => action.kind === "startAgent")).toHaveLength(3);
    for (const row of plan?.timeline ?? []) expect(row.healthyVoters).toBeGreaterThanOrEqual(2);
  });
});
