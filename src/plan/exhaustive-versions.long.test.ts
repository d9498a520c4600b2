/**
 * Another version of haplan, over members in every combination of conditions and versions, together with each other kind of change:
 * no agent gets it in a step that does not watch it.
 */
import { expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster, ObservedMachine } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { State } from "./state.ts";

const older = "0.3.0 (build 1a2b3c4d5e6f)";
const newer = "0.4.0 (build a1b2c3d4e5f6)";
const names = ["m1", "m2", "m3"];
const three = fixtureSpec(names, { workers: 0 });
const withControlPlane = (change: Partial<ClusterSpec["controlPlane"]>): ClusterSpec => ({
  ...three,
  controlPlane: { ...three.controlPlane, ...change },
});
const moved = three.controlPlane.masters.map((each) =>
  each.name === "m2" ? { ...each, address: "127.0.1.42" } : each,
);

type Condition = "healthy" | "stopped" | "silent" | "unreachable";
type Member = { readonly condition: Condition; readonly version: string };
type Change = { readonly spec: ClusterSpec; readonly more?: Partial<PlannerInput>; readonly renews?: true };

const conditions: readonly Condition[] = ["healthy", "stopped", "silent", "unreachable"];
const members: readonly Member[] = conditions.flatMap((condition) =>
  [older, newer].map((version) => ({ condition, version })),
);
const changes: readonly (readonly [string, Change])[] = [
  ["no other change", { spec: three }],
  ["another setting", { spec: withControlPlane({ electionTimeoutMs: 2_000 }) }],
  ["two more members", { spec: fixtureSpec(["m1", "m2", "m3", "m4", "m5"], { workers: 0 }) }],
  ["a member at another address", { spec: withControlPlane({ masters: moved }) }],
  ["a requested restart", { spec: three, more: { replace: ["haplan_agent.m2"] } }],
  ["a requested replacement", { spec: three, more: { replace: ["haplan_machine.m2"] } }],
  ["certificates that end", { spec: three, renews: true }],
];

const state: State = {
  ...settledState(three),
  resources: settledState(three).resources.map((resource) =>
    resource.type === "haplan_agent" || resource.type === "haplan_load_balancer"
      ? { ...resource, attributes: { ...resource.attributes, artifact: older } }
      : resource,
  ),
};

function observedOf(found: ReadonlyMap<string, Member>, renews: boolean): ObservedCluster {
  const settled = settledObservation(three);
  const machineOf = (machine: ObservedMachine): readonly ObservedMachine[] => {
    const member = found.get(machine.name);
    if (member?.condition === "unreachable") return [];
    const stopped = member?.condition === "stopped" ? { running: false, pid: null } : {};
    const units = machine.units.map((unit) => ({ ...unit, artifact: member?.version ?? older, ...stopped }));
    return [{ ...machine, units }];
  };
  const silent = { healthy: false, raftIndex: null, leader: false } as const;
  const [leader] = names.filter((name) => found.get(name)!.condition === "healthy");
  const seen = settled.membership!.members.map((member) => ({
    ...member,
    leader: member.name === leader,
    ...(found.get(member.name)!.condition === "healthy" ? {} : silent),
  }));
  return {
    ...settled,
    machines: settled.machines.flatMap(machineOf),
    certificates: settled.certificates.map((each) => (renews ? { ...each, notAfter: "2026-06-10T00:00:00Z" } : each)),
    unreachable: names.flatMap((name) =>
      found.get(name)!.condition === "unreachable" ? [{ name, reason: "no route to host" }] : [],
    ),
    membership: { ...settled.membership!, members: seen, hasLeader: leader !== undefined },
  };
}

/** Agents that a step gives the new version, and that no step watches. */
function unwatched({ steps }: Plan): readonly string[] {
  const watched = new Set<string>();
  return steps.flatMap(({ action }, at) => {
    switch (action.kind) {
      case "upgradeAgent":
        watched.add(action.member);
        return [];
      case "startAgent": {
        const waits = steps.slice(at).map((step) => step.action);
        const wait = waits.find((each) => each.kind === "awaitCatchUp" && each.member === action.member);
        return wait?.kind === "awaitCatchUp" && wait.steadyMs !== undefined ? [] : [`${action.kind} ${action.member}`];
      }
      case "restartAgent":
      case "updateAgent":
      case "reloadAgent":
        return watched.has(action.member) ? [] : [`${action.kind} ${action.member}`];
      default:
        return [];
    }
  });
}

it.each(changes)(
  "is watched wherever it goes, together with %s",
  (_, { spec, more = {}, renews = false }) => {
    let plans = 0;
    for (const m1 of members)
      for (const m2 of members)
        for (const m3 of members) {
          const found = new Map([
            ["m1", m1],
            ["m2", m2],
            ["m3", m3],
          ]);
          const input = fixtureInput(spec, { state, observed: observedOf(found, renews), artifact: newer, ...more });
          const { plan } = planChanges(input);
          if (plan === undefined) continue;
          plans++;
          expect({ m1, m2, m3, unwatched: unwatched(plan) }).toEqual({ m1, m2, m3, unwatched: [] });
        }
    expect(plans).toBeGreaterThan(50);
  },
  120_000,
);
