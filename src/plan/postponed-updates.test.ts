// Changes that stop a master, while others are down: members that haplan can start come back first, and what would lose
// the quorum waits for those that it cannot.
import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import { type PlanResult, planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { ResourceAddress } from "./resource.ts";
import { resourceAddress } from "./resource.ts";
import type { State } from "./state.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
const reason = "ssh: connect to host 127.0.1.2 port 22: No route to host";

type Harm = "stopped" | "unreachable" | "gone";

/** The cluster with these masters down; it has a leader only if a majority is left. m1 leads. */
function harmed(spec: ClusterSpec, harm: { readonly [name: string]: Harm }): ObservedCluster {
  const settled = settledObservation(spec);
  const count = spec.controlPlane.masters.length;
  const hasLeader = (count - Object.keys(harm).length) * 2 > count;
  const machines = settled.machines.flatMap((machine) => {
    const how = harm[machine.name];
    if (how === "unreachable" || how === "gone") return [];
    const units = machine.units.map((unit) => ({ ...unit, running: false, pid: null }));
    return [how === "stopped" ? { ...machine, units } : machine];
  });
  const members = settled.membership!.members.map((member) => {
    const down = harm[member.name] !== undefined;
    return {
      ...member,
      healthy: hasLeader && !down,
      leader: hasLeader && member.name === "m1",
      raftIndex: down ? null : 100,
    };
  });
  const unreachable = Object.keys(harm).filter((name) => harm[name] === "unreachable");
  return {
    ...settled,
    machines,
    unreachable: unreachable.map((name) => ({ name, reason })),
    membership: { ...settled.membership!, members, hasLeader },
  };
}

const withSetting = (spec: ClusterSpec): ClusterSpec => ({
  ...spec,
  controlPlane: { ...spec.controlPlane, heartbeatIntervalMs: 50 },
});

/** A plan for `to` of the cluster `from`, of which a part is down. */
function plan(
  from: ClusterSpec,
  to: ClusterSpec,
  harm: { readonly [name: string]: Harm },
  more: Partial<PlannerInput> = {},
): PlanResult {
  const state = more.state === undefined ? settledState(from) : more.state;
  return planChanges(fixtureInput(to, { ...more, state, observed: more.observed ?? harmed(from, harm) }));
}

const titles = ({ steps }: Plan): readonly string[] => steps.map(({ title }) => title);
const postponed = ({ warnings }: Plan): readonly string[] =>
  warnings.filter(({ code }) => code === "plan/postponed").map(({ summary }) => summary);
const actionOf = ({ changes }: Plan, address: string): unknown => changes.find((each) => each.address === address);
const codes = ({ refusal }: PlanResult): readonly string[] => (refusal ?? []).map(({ code }) => code);

function renamed(from: string, to: string): ClusterSpec {
  const masters = three.controlPlane.masters.map((each) => (each.name === from ? { ...each, name: to } : each));
  return { ...three, controlPlane: { ...three.controlPlane, masters } };
}

/** The state with these values in the agents of these masters. */
function withAgents(state: State, names: readonly string[], attributes: { readonly artifact: string }): State {
  const addresses = names.map((name): ResourceAddress => resourceAddress("haplan_agent", name));
  const resources = state.resources.map((each) =>
    addresses.includes(each.address) ? { ...each, attributes: { ...each.attributes, ...attributes } } : each,
  );
  return { ...state, resources };
}

describe("B3: a pending update during an outage", () => {
  const outage = { m2: "unreachable", m3: "stopped" } as const;

  it("does not block the steps that restore the quorum, and waits for the member that is unreachable", () => {
    const { plan: made } = plan(three, withSetting(three), outage);
    expect(titles(made!)).toEqual(["restart agent m3", "wait until m1, m3 are healthy"]);
    expect(postponed(made!)).toEqual([
      "The update of haplan_agent.m1 is postponed: it would lose the quorum while m2 is down",
    ]);
    const warning = made!.warnings.find(({ code }) => code === "plan/postponed");
    expect(warning?.detail).toContain(reason);
    expect(warning?.detail).toMatch(/Run haplan apply again once m2 answers/);
  });

  it("shows what is postponed as it is", () => {
    const { plan: made } = plan(three, withSetting(three), outage);
    expect(actionOf(made!, "haplan_agent.m3")).toMatchObject({ action: "update", reason: "dead: its process is gone" });
    const change = made!.changes.find(({ address }) => address === "haplan_agent.m1")!;
    expect(change).toMatchObject({
      action: "noop",
      reason: "postponed: it would lose the quorum while m2 is down",
      unknownAfter: [],
    });
    expect(change.after).toEqual(change.before);
  });

  it.each<[string, readonly string[]]>([
    ["haplan_agent.m3", ["restart agent m3", "wait until m1, m3 are healthy"]],
    ["haplan_worker.w1", []],
  ])("plans -target=%s alone, without a word on the rest", (address, steps) => {
    const { plan: made } = plan(three, withSetting(three), outage, { target: [address] });
    expect(titles(made!)).toEqual(steps);
    expect(postponed(made!)).toEqual([]);
  });

  it("refuses -target for the update that has to wait", () => {
    const result = plan(three, withSetting(three), outage, { target: ["haplan_agent.m1"] });
    expect(codes(result)).toEqual(["plan/quorum-at-risk"]);
  });

  it("refuses a restart that was requested: it is for now, or not at all", () => {
    expect(codes(plan(three, three, outage, { replace: ["haplan_agent.m1"] }))).toEqual(["plan/quorum-at-risk"]);
  });

  it("updates everything once the unreachable member answers", () => {
    const { plan: made } = plan(three, withSetting(three), { m3: "stopped" });
    expect(made!.steps.flatMap(({ action }) => (action.kind === "updateAgent" ? [action.member] : []))).toEqual([
      "m2",
      "m1",
    ]);
    expect(postponed(made!)).toEqual([]);
  });
});

describe("B3: an update that would lose the quorum, and nothing to repair", () => {
  it.each<[string, ClusterSpec, { readonly [name: string]: Harm }, readonly string[], RegExp]>([
    [
      "one of three",
      three,
      { m2: "unreachable" },
      ["apply", "-replace=haplan_machine.m2"],
      /m1, haplan_agent.m3 .*while m2 is down: 2 healthy of 3 voters/s,
    ],
    ["two of three", three, { m2: "unreachable", m3: "unreachable" }, ["recover"], /m1 .*while m2, m3 are down/],
    [
      "two of five",
      five,
      { m2: "unreachable", m4: "unreachable" },
      ["apply", "-replace=haplan_machine.m2", "-replace=haplan_machine.m4"],
      /while m2, m4 are down: 3 healthy of 5 voters/,
    ],
  ])("is refused, with the members that are away: %s", (_, spec, harm, way, summary) => {
    const result = plan(spec, withSetting(spec), harm);
    expect(codes(result)).toEqual(["plan/quorum-at-risk"]);
    expect(result.refusal![0]!.summary).toMatch(summary);
    expect(result.refusal![0]!.detail).toContain(reason);
    expect(result.refusal![0]!.commands).toEqual([way]);
  });

  it("is postponed if the plan has other work, such as a new worker", () => {
    const grown = withSetting(fixtureSpec(["m1", "m2", "m3"], { workers: 3 }));
    const { plan: made } = plan(three, grown, { m2: "unreachable" });
    expect(titles(made!)).toContain("start worker w3");
    expect(titles(made!).filter((title) => /agent|leader/.test(title))).toEqual([]);
    expect(postponed(made!)).toEqual([
      "The updates of haplan_agent.m1, haplan_agent.m3 are postponed: they would lose the quorum while m2 is down",
    ]);
  });

  it("is part of the plan that replaces the member that is lost", () => {
    const { plan: made } = plan(three, withSetting(three), { m2: "unreachable" }, { replace: ["haplan_machine.m2"] });
    const acted = made!.steps.flatMap(({ action }) => (action.kind === "updateAgent" ? [action.member] : []));
    expect([titles(made!)[0], acted]).toEqual(["create machine m2 (generation 2)", ["m3", "m1"]]);
    expect(postponed(made!)).toEqual([]);
  });

  it("does not keep a refresh from recording the state", () => {
    expect(plan(three, withSetting(three), { m2: "unreachable" }, { refreshOnly: true }).plan?.steps).toEqual([]);
  });

  it("is refused as before where none is down", () => {
    const one = fixtureSpec(["m1"]);
    expect(plan(one, withSetting(one), {}).refusal?.[0]?.summary).toBe(
      "Step 1 (update agent m1) would lose the quorum: 0 healthy of 1 voters, 1 needed",
    );
  });
});

describe("B3: each kind of change that stops a master", () => {
  const outage = { m2: "unreachable", m3: "stopped" } as const;
  const repair = ["restart agent m3", "wait until m1, m3 are healthy"];

  it("postpones another version of haplan", () => {
    const state = withAgents(settledState(three), ["m1", "m2", "m3"], { artifact: "v1" });
    const { plan: made } = plan(three, three, outage, { state, artifact: "v2" });
    // The one that is started anyway gets it.
    const acts = titles(made!).filter((title) => /agent|wait/.test(title));
    expect(acts).toEqual(["upgrade agent m3 to v2", "wait until m1, m3 are healthy"]);
    expect(postponed(made!)).toHaveLength(1);
  });

  it("postpones a restart for files that were changed by hand", () => {
    const observed = harmed(three, outage);
    const machines = observed.machines.map((machine) =>
      machine.name === "m1"
        ? { ...machine, units: machine.units.map((unit) => ({ ...unit, definitionDigest: "edited" })) }
        : machine,
    );
    const { plan: made } = plan(three, three, outage, { observed: { ...observed, machines } });
    expect(titles(made!)).toEqual(repair);
    expect(postponed(made!)).toHaveLength(1);
  });

  it("postpones a member that would be rebuilt at its address", () => {
    const observed = harmed(five, { m2: "unreachable", m3: "unreachable", m5: "stopped" });
    // Its data directory is gone while it runs.
    const machines = observed.machines.map((each) => (each.name === "m1" ? { ...each, hasData: false } : each));
    const membership = { ...observed.membership!, hasLeader: true };
    const members = membership.members.map((each) => ({ ...each, healthy: each.name === "m1" || each.name === "m4" }));
    const { plan: made } = plan(
      five,
      five,
      {},
      { observed: { ...observed, machines, membership: { ...membership, members } } },
    );
    expect(titles(made!)).toEqual(["restart agent m5", "wait until m5 is healthy"]);
    expect(postponed(made!)[0]).toContain("haplan_agent.m1, haplan_machine.m1, haplan_raft_member.m1");
  });

  it("lets agents load renewed certificates, which stops none of them", () => {
    const observed = harmed(three, outage);
    const certificates = observed.certificates.map((each) =>
      each.name === "m1" ? { ...each, notAfter: "2026-07-01T00:00:00Z" } : each,
    );
    const { plan: made } = plan(three, three, outage, { observed: { ...observed, certificates } });
    expect(titles(made!)).toEqual(["issue certificate m1", "hand agent m1 its new certificate", ...repair]);
    expect(postponed(made!)).toEqual([]);
  });

  it("restarts no real etcd for new settings, and starts the one that is down", () => {
    const etcd = fixtureSpec(["m1", "m2", "m3"], { engine: "etcd" });
    const { plan: made } = plan(etcd, withSetting(etcd), outage);
    expect(titles(made!)).toEqual(repair);
    expect(postponed(made!)).toHaveLength(1);
  });

  it("replaces a member that is gone, and then updates the others if one may be down", () => {
    const { plan: made } = plan(five, withSetting(five), { m2: "unreachable", m5: "gone" });
    expect(made!.steps.flatMap(({ action }) => (action.kind === "updateAgent" ? [action.member] : []))).toEqual([
      "m3",
      "m4",
      "m1",
    ]);
    expect(made!.timeline.every(({ canLose }) => canLose !== null)).toBe(true);
    expect(postponed(made!)).toEqual([]);
  });

  it("keeps the load balancer's target of a member that keeps its port for now", () => {
    const moved = { ...three, controlPlane: { ...three.controlPlane, clientPort: 2479 } };
    const { plan: made } = plan(three, moved, outage);
    expect(titles(made!).slice(0, 2)).toEqual(expect.arrayContaining(["restart agent m3"]));
    const balancer = made!.steps.flatMap(({ action }) => (action.kind === "updateLoadBalancer" ? [action] : []));
    expect(balancer.at(-1)).toMatchObject({
      backends: ["m1", "m2", "m3"],
      formerTargets: { m1: "127.0.1.1:2379", m2: "127.0.1.2:2379" },
    });
    expect(actionOf(made!, "haplan_lb_backend.m3")).toMatchObject({ action: "update" });
    expect(actionOf(made!, "haplan_lb_backend.m1")).toMatchObject({ action: "noop" });
    expect(actionOf(made!, "haplan_raft_member.m1")).toMatchObject({ action: "noop" });
  });

  it("keeps the target of a master that serves on a machine that is unreachable", () => {
    const moved = { ...three, controlPlane: { ...three.controlPlane, clientPort: 2479 } };
    const settled = settledObservation(three);
    const machines = settled.machines.filter(({ name }) => name !== "m2");
    const observed = { ...settled, machines, unreachable: [{ name: "m2", reason }] };
    const { plan: made } = plan(three, moved, {}, { observed });
    const balancer = made!.steps.flatMap(({ action }) => (action.kind === "updateLoadBalancer" ? [action] : []));
    expect(balancer.at(-1)).toMatchObject({ formerTargets: { m2: "127.0.1.2:2379" } });
    expect(made!.timeline.at(-1)?.endpoint).toEqual({ targets: 3, serving: 3 });
  });

  it.each<[string, ClusterSpec, { readonly [name: string]: Harm }, string]>([
    [
      "another peer port, of which the others have to be told",
      { ...three, controlPlane: { ...three.controlPlane, peerPort: 2480 } },
      outage,
      "plan/no-quorum",
    ],
    ["another name at the same address", renamed("m1", "m8"), outage, "plan/address-occupied"],
    ["another name at the same address", renamed("m1", "m8"), { m2: "unreachable" }, "plan/quorum-at-risk"],
  ])("refuses %s, which cannot wait", (_, wanted, harm, code) => {
    expect(codes(plan(three, wanted, harm))).toEqual([code]);
  });

  describe("of the authorities that a master trusts", () => {
    const given = (spec: ClusterSpec): State => {
      const state = settledState(spec);
      const resources = state.resources.map((each) =>
        each.type === "haplan_agent"
          ? { ...each, attributes: { ...each.attributes, trusts: ["fp-demo", "fp-former"] } }
          : each,
      );
      return { ...state, resources };
    };

    it("postpones the restart of a real etcd", () => {
      const etcd = fixtureSpec(["m1", "m2", "m3"], { engine: "etcd" });
      const { plan: made } = plan(etcd, etcd, outage, { state: given(etcd) });
      expect(titles(made!)).toEqual(repair);
      expect(postponed(made!)[0]).toContain("The update of haplan_agent.m1 is postponed");
    });

    it("lets an agent load them, but not together with settings that wait for a restart", () => {
      const loaded = titles(plan(three, three, outage, { state: given(three) }).plan!);
      expect(loaded.filter((title) => title.includes("m1") && !title.startsWith("wait"))).toHaveLength(1);
      expect(titles(plan(three, withSetting(three), outage, { state: given(three) }).plan!)).toEqual(repair);
    });
  });
});
