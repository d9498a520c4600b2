// A real etcd moves one vote at a time: what the plan makes of it, and what the guard says to even moments.
import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";

function etcdSpec(count: number, policy: Partial<ClusterSpec["policy"]> = {}): ClusterSpec {
  const names = Array.from({ length: count }, (_, index) => `m${index + 1}`);
  const spec = fixtureSpec(names, { tls: false, workers: 0, engine: "etcd" });
  return { ...spec, policy: { ...spec.policy, ...policy } };
}

function from(before: ClusterSpec, after: ClusterSpec, more: Partial<PlannerInput> = {}): PlannerInput {
  return fixtureInput(after, { state: settledState(before), observed: settledObservation(before), ...more });
}

/** Member `name` is down and its data is gone. */
function without(spec: ClusterSpec, name: string): ObservedCluster {
  const observed = settledObservation(spec);
  return {
    ...observed,
    machines: observed.machines.filter((machine) => machine.name !== name),
    membership: {
      ...observed.membership!,
      members: observed.membership!.members.map((member) =>
        member.name === name ? { ...member, healthy: false, raftIndex: null } : member,
      ),
    },
  };
}

/** Member `name` was removed with etcdctl: its process has ended, and its data is there. */
function withoutMember(spec: ClusterSpec, name: string): ObservedCluster {
  const observed = settledObservation(spec);
  const members = observed.membership!.members.filter((member) => member.name !== name);
  const machines = observed.machines.map((machine) =>
    machine.name === name
      ? { ...machine, units: machine.units.map((unit) => ({ ...unit, running: false, pid: null })) }
      : machine,
  );
  return { ...observed, machines, membership: { ...observed.membership!, members } };
}

const voters = (input: PlannerInput): readonly number[] => {
  const { plan, refusal } = planChanges(input);
  if (plan === undefined) throw new Error(refusal?.map(({ summary }) => summary).join("\n"));
  return plan.timeline.map((row) => row.voters).filter((count, index, all) => count !== all[index - 1]);
};

describe("a real etcd", () => {
  const even = { allowEvenSteps: true };

  it.each([
    ["growing from 1 to 3", from(etcdSpec(1), etcdSpec(3, even)), [1, 2, 3]],
    ["growing from 3 to 5", from(etcdSpec(3), etcdSpec(5, even)), [3, 4, 5]],
    ["shrinking from 5 to 3", from(etcdSpec(5), etcdSpec(3, even)), [5, 4, 3]],
    ["replacing a healthy member", from(etcdSpec(3), etcdSpec(3, even), { replace: ["haplan_machine.m2"] }), [3, 2, 3]],
  ])("passes every number on its way when %s, and says so", (_, input, expected) => {
    expect(voters(input)).toEqual(expected);
  });

  it.each([
    ["growing from 1 to 3", from(etcdSpec(1), etcdSpec(3))],
    ["growing from 3 to 5", from(etcdSpec(3), etcdSpec(5))],
    ["shrinking from 5 to 3", from(etcdSpec(5), etcdSpec(3))],
    ["replacing a healthy member", from(etcdSpec(3), etcdSpec(3), { replace: ["haplan_machine.m2"] })],
  ])("is not led through an even number unasked when %s", (_, input) => {
    const { refusal } = planChanges(input);
    expect(refusal?.map(({ code }) => code)).toEqual(["plan/even-step"]);
    expect(refusal?.[0]?.detail).toContain("allowEvenSteps: true");
  });

  it("T12: adds a member in another place before the former one goes, and never has fewer voters than asked for", () => {
    const spec = etcdSpec(3, even);
    const masters = spec.controlPlane.masters.map((master) =>
      master.name === "m1" ? { ...master, address: "127.0.1.22" } : master,
    );
    const input = from(etcdSpec(3), { ...spec, controlPlane: { ...spec.controlPlane, masters } });
    expect(voters(input)).toEqual([3, 4, 3]);
    // Of four voters one stops, to answer what it has accepted, and is then removed.
    const { plan } = planChanges(input);
    const tight = plan?.timeline.filter(({ canLose }) => canLose !== 1) ?? [];
    expect(tight.map(({ canLose, title }) => [canLose, title])).toEqual([[0, "stop agent m1 (generation 1)"]]);
  });

  it("stops before it is removed while all others are healthy, and after it while one of them is down", () => {
    const before = etcdSpec(5);
    const settled = settledObservation(before);
    const order = (observed: ObservedCluster): readonly string[] => {
      const { plan } = planChanges(from(before, etcdSpec(3, even), { observed }));
      return plan!.steps.map(({ id }) => id).filter((id) => /^(stopAgent|removeMember):m5/.test(id));
    };
    expect(order(settled)).toEqual(["stopAgent:m5", "removeMember:m5/id-m5"]);
    expect(order(without(before, "m2"))).toEqual(["removeMember:m5/id-m5", "stopAgent:m5"]);
  });

  it("lets a dead member go unasked, which costs nothing that is there", () => {
    const spec = etcdSpec(3);
    const input = from(spec, spec, { observed: without(spec, "m2") });
    expect(voters(input)).toEqual([3, 2, 3]);
    const { plan } = planChanges(input);
    expect(plan?.timeline.every(({ canLose }) => canLose !== null)).toBe(true);
    const kinds = plan?.steps.map(({ action }) => action.kind) ?? [];
    expect(kinds.indexOf("removeMember")).toBeLessThan(kinds.indexOf("addLearner"));
  });

  it("removes the dead one of four before it adds any, as etcd refuses the fifth while one is down", () => {
    const four = etcdSpec(4);
    const input = from(four, etcdSpec(5, even), { observed: without(four, "m2") });
    expect(voters(input)).toEqual([4, 3, 4, 5]);
    const ids = planChanges(input).plan?.steps.map(({ id }) => id);
    expect(ids?.slice(0, 2)).toEqual(["updateLoadBalancer:m1,m3,m4", "removeMember:m2/id-m2"]);
  });

  it("adds a second member only when the first one votes", () => {
    const { plan } = planChanges(from(etcdSpec(3), etcdSpec(5, even)));
    const chain = plan?.steps.map(({ id }) => id.split(":").slice(0, 2).join(":").slice(0, 15)) ?? [];
    expect(chain.filter((id) => /^(addLearner|changeVoters)/.test(id)).map((id) => id.slice(0, 10))).toEqual([
      "addLearner",
      "changeVote",
      "addLearner",
      "changeVote",
    ]);
  });

  it("gets a snapshot before the change when the policy asks for one", () => {
    const spec = etcdSpec(5, { ...even, backupBeforeMembershipChange: true });
    const { plan } = planChanges(from(etcdSpec(3), spec));
    const kinds = plan?.steps.map(({ action }) => action.kind) ?? [];
    expect(kinds.filter((kind) => kind === "takeSnapshot")).toHaveLength(1);
    expect(kinds.indexOf("takeSnapshot")).toBeLessThan(kinds.indexOf("addLearner"));
  });

  it.each([
    [
      "that was removed by others",
      from(etcdSpec(3), etcdSpec(3, even), { observed: withoutMember(etcdSpec(3), "m3") }),
    ],
    ["that is gone with its data", from(etcdSpec(3), etcdSpec(3, even), { observed: without(etcdSpec(3), "m3") })],
  ])("gets no client at the place of a member %s until it votes", (_, input) => {
    const { plan } = planChanges(input);
    const at = (kind: string): number => plan!.steps.findIndex(({ action }) => action.kind === kind);
    const targets = plan!.steps.flatMap(({ action }, place) =>
      action.kind === "updateLoadBalancer" ? [{ place, backends: action.backends }] : [],
    );
    expect(targets.map(({ backends }) => backends.join())).toEqual(["m1,m2", "m1,m2,m3"]);
    expect(targets[0]!.place).toBeLessThan(at("startAgent"));
    expect(targets[1]!.place).toBeGreaterThan(at("changeVoters"));
  });
});
