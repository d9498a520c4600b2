// Plans as text, one file each under testdata/: what would be done, in which order and why, and the quorum on the way.
import { describe, expect, it } from "vitest";
import {
  emptyObservation,
  fixtureInput,
  fixtureLineage,
  fixtureMachine,
  fixtureMember,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster, ObservedMachine, ObservedMember } from "./observed-cluster.ts";
import { type PlanResult, planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import { isDeposed } from "./resource.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
const silent: Partial<ObservedMember> = { healthy: false, raftIndex: null };

/** The settled view with one machine (null: gone) and its member changed. */
function harmed(
  spec: ClusterSpec,
  name: string,
  machine: Partial<ObservedMachine> | null,
  member: Partial<ObservedMember> = silent,
): ObservedCluster {
  const settled = settledObservation(spec);
  return {
    ...settled,
    machines: settled.machines.flatMap((each) => {
      if (each.name !== name) return [each];
      return machine === null ? [] : [{ ...each, ...machine }];
    }),
    membership: {
      ...settled.membership!,
      members: settled.membership!.members.map((each) => (each.name === name ? { ...each, ...member } : each)),
    },
  };
}

const stopped = (name: string, unit = "agent"): Partial<ObservedMachine> => ({
  units: [{ name: unit, running: false, pid: null, definitionDigest: `digest-${name}` }],
});

function allStopped(spec: ClusterSpec): ObservedCluster {
  const settled = settledObservation(spec);
  const machines = settled.machines.map((machine) => ({
    ...machine,
    ...stopped(machine.name, machine.units[0]!.name),
  }));
  return { ...settled, machines, membership: null };
}

const faster: ClusterSpec = { ...three, controlPlane: { ...three.controlPlane, heartbeatIntervalMs: 50 } };
const moved: ClusterSpec = {
  ...three,
  loadBalancer: { ...three.loadBalancer, address: "127.0.1.101" },
};
const readdressed: ClusterSpec = {
  ...three,
  controlPlane: {
    ...three.controlPlane,
    masters: three.controlPlane.masters.map((each) => (each.name === "m1" ? { ...each, address: "127.0.1.9" } : each)),
  },
};

const before3 = { state: settledState(three), observed: settledObservation(three) };
const before5 = { state: settledState(five), observed: settledObservation(five) };
const forming: PlannerInput = fixtureInput(three, {
  state: { ...settledState(three), resources: [] },
  observed: {
    ...settledObservation(three),
    machines: [fixtureMachine("m1", "127.0.1.1", "agent")],
    membership: null,
    backends: [],
  },
});

/** Three masters behind load balancers with a virtual address, on these hosts. */
function withHosts(spec: ClusterSpec, names: readonly string[], vip = "10.0.0.100"): ClusterSpec {
  const hosts = names.map((name) => ({ name, zone: null, address: `10.0.0.${name.replace(/\D/g, "")}` }));
  const virtual = { interface: null, routerId: 7 };
  return { ...spec, loadBalancer: { ...spec.loadBalancer, address: vip, hosts, virtual } };
}
/** These load balancers keep their names, on other hosts. */
function onOtherHost(spec: ClusterSpec, ...names: readonly string[]): ClusterSpec {
  const hosts = spec.loadBalancer.hosts!.map((host) =>
    names.includes(host.name) ? { ...host, address: `${host.address}7` } : host,
  );
  return { ...spec, loadBalancer: { ...spec.loadBalancer, hosts } };
}
const paired = withHosts(three, ["lb1", "lb2"]);
const beforePair = { state: settledState(paired), observed: settledObservation(paired) };
const withoutHolder = (spec: ClusterSpec, name: string): ObservedCluster => {
  const { units } = settledObservation(spec).machines.find((machine) => machine.name === name)!;
  return harmed(spec, name, {
    units: units.map((unit) => (unit.name === "keepalived" ? { ...unit, running: false } : unit)),
  });
};

const plans: readonly (readonly [string, PlannerInput])[] = [
  ["create", fixtureInput(three, { state: null, observed: emptyObservation })],
  [
    "create-without-tls",
    fixtureInput(fixtureSpec(["m1", "m2", "m3"], { tls: false, workers: 0 }), {
      state: null,
      observed: emptyObservation,
    }),
  ],
  ["create-goes-on", forming],
  ["nothing-to-do", fixtureInput(three)],
  ["grow-3-to-5", fixtureInput(five, before3)],
  ["shrink-5-to-3-leader-leaves", fixtureInput(fixtureSpec(["m2", "m3", "m4"]), before5)],
  ["agent-stopped", fixtureInput(three, { observed: harmed(three, "m2", stopped("m2")) })],
  ["agent-silent", fixtureInput(three, { observed: harmed(three, "m2", {}) })],
  ["data-gone", fixtureInput(three, { observed: harmed(three, "m2", { ...stopped("m2"), hasData: false }) })],
  ["machine-gone", fixtureInput(three, { observed: harmed(three, "m2", null) })],
  ["everything-stopped", fixtureInput(three, { observed: allStopped(three) })],
  [
    "load-balancer-stopped",
    fixtureInput(three, { observed: harmed(three, "load-balancer", stopped("load-balancer", "load-balancer")) }),
  ],
  ["worker-stopped", fixtureInput(three, { observed: harmed(three, "w1", stopped("w1", "worker")) })],
  ["worker-removed", fixtureInput(fixtureSpec(["m1", "m2", "m3"], { workers: 1 }), before3)],
  ["rolling-update", fixtureInput(faster, before3)],
  ["load-balancer-moves", fixtureInput(moved, before3)],
  ["master-changes-address", fixtureInput(readdressed, before3)],
  ["peer-port-changes", fixtureInput({ ...three, controlPlane: { ...three.controlPlane, peerPort: 2480 } }, before3)],
  ["replace-as-requested", fixtureInput(three, { replace: ["haplan_raft_member.m1"] })],
  ["virtual-address-create", fixtureInput(paired, { state: null, observed: emptyObservation })],
  ["virtual-address-nothing-to-do", fixtureInput(paired)],
  ["virtual-address-grow-3-to-5", fixtureInput(withHosts(five, ["lb1", "lb2"]), beforePair)],
  ["virtual-address-host-replaced", fixtureInput(withHosts(three, ["lb1", "lb3"]), beforePair)],
  ["virtual-address-hosts-all-replaced", fixtureInput(withHosts(three, ["lb3", "lb4"]), beforePair)],
  ["virtual-address-host-moves", fixtureInput(onOtherHost(paired, "lb1"), beforePair)],
  ["virtual-address-hosts-all-move", fixtureInput(onOtherHost(paired, "lb1", "lb2"), beforePair)],
  ["virtual-address-changes", fixtureInput(withHosts(three, ["lb1", "lb2"], "10.0.0.101"), beforePair)],
  ["virtual-address-first", fixtureInput(paired, before3)],
  ["virtual-address-last", fixtureInput(three, beforePair)],
  ["virtual-address-holder-stopped", fixtureInput(paired, { observed: withoutHolder(paired, "lb1") })],
  [
    "virtual-address-host-unreachable",
    fixtureInput(withHosts(five, ["lb1", "lb2"]), {
      state: beforePair.state,
      observed: { ...harmed(paired, "lb1", null, {}), unreachable: [{ name: "lb1", reason: "no route to host" }] },
    }),
  ],
  ["virtual-address-restart-as-requested", fixtureInput(paired, { replace: ["haplan_load_balancer.lb1"] })],
  ["virtual-address-destroy", fixtureInput(paired, { mode: "destroy" })],
  ["state-lost", fixtureInput(three, { state: null })],
  ["destroy", fixtureInput(three, { mode: "destroy" })],
];

/** A plan as a transcript: steps with what they wait for, changes that are none, drift, quorum. */
function transcript(result: PlanResult): string {
  if (result.refusal !== undefined) return result.refusal.map((each) => `${each.code}: ${each.summary}\n`).join("");
  const { steps, changes, drift, timeline, warnings } = result.plan;
  const number = new Map(steps.map((step, index) => [step.id, index + 1]));
  const lines = [
    ...warnings.map((warning) => `warning: ${warning.summary}`),
    ...drift.map((each) => `drift: ${each.address}: ${each.reason}`),
    "",
    ...steps.map(
      (step) => `${number.get(step.id)} ${step.title} <- ${step.after.map((id) => number.get(id)).join(" ") || "-"}`,
    ),
    "",
    ...changes
      .filter((change) => change.action !== "noop" || change.reason !== null)
      .map((change) => `${change.action} ${change.address}${change.reason === null ? "" : `: ${change.reason}`}`),
    "",
    ...timeline.map(
      (row) =>
        `${row.title}: ${row.healthyVoters} of ${row.votersOutgoing > 0 ? `${row.votersOutgoing}>` : ""}${row.voters} voters, ${row.learners} learners, can lose ${row.canLose ?? "none: no quorum"}${row.endpoint === undefined ? "" : `, endpoint ${row.endpoint.serving}/${row.endpoint.targets}`}`,
    ),
  ];
  return `${lines.join("\n").trim()}\n`;
}

describe("planChanges", () => {
  it.each(plans)("plans as in testdata/%s.txt", async (name, input) => {
    await expect(transcript(planChanges(input))).toMatchFileSnapshot(`testdata/${name}.txt`);
  });

  it.each(plans)("names for %s every change in a step and steps only for changes", (_, input) => {
    const { plan } = planChanges(input);
    const named = new Set(plan!.steps.flatMap((step) => step.addresses));
    for (const change of plan!.changes) {
      if (change.action !== "noop") expect(named, change.address).toContain(change.address);
    }
    const changed = new Set(plan!.changes.map((change) => change.address));
    // What is left of a replaced object is no change of its own.
    for (const address of named) if (!isDeposed(address)) expect(changed).toContain(address);
  });

  it("T12: restarts a member that is down where its peers look for it from now on, and needs a quorum to tell them", () => {
    const elsewhere = { ...three, controlPlane: { ...three.controlPlane, peerPort: 2480 } };
    const { plan } = planChanges(
      fixtureInput(elsewhere, { state: settledState(three), observed: harmed(three, "m2", stopped("m2")) }),
    );
    const [update, restart] = plan!.steps;
    expect([update!.title, restart!.title]).toEqual([
      "update member m2: peer URL https://127.0.1.2:2480",
      "restart agent m2",
    ]);
    expect(restart!.after).toEqual([update!.id]);
    const { refusal } = planChanges(
      fixtureInput(elsewhere, { state: settledState(three), observed: allStopped(three) }),
    );
    expect(refusal?.map(({ code }) => code)).toEqual(["plan/no-quorum"]);
  });

  it("makes equal plans from equal input, and another id from another", () => {
    const input = fixtureInput(five, before3);
    expect(planChanges({ ...structuredClone({ ...input, provider: null }), provider: input.provider })).toEqual(
      planChanges(input),
    );
    expect(planChanges({ ...input, specDigest: "other" }).plan?.id).not.toBe(planChanges(input).plan?.id);
  });

  it("plans 7 masters and 1,000 workers without growing beyond what it was given", () => {
    const big = fixtureSpec(["m1", "m2", "m3", "m4", "m5", "m6", "m7"], { workers: 1000 });
    const { plan } = planChanges(fixtureInput(big, { state: null, observed: emptyObservation }));
    expect(plan?.steps).toHaveLength(3027);
    expect(JSON.stringify(plan).length).toBeLessThan(5_000_000);
  });
});

const one = fixtureSpec(["m1"]);
const two = fixtureSpec(["m1", "m2"]);
const before2 = { state: settledState(two), observed: settledObservation(two) };

const refusals: readonly (readonly [string, PlannerInput, RegExp])[] = [
  [
    "a machine of another cluster",
    fixtureInput(three, { observed: harmed(three, "m2", { lineage: "other" }) }),
    /Machine m2 belongs to another cluster/,
  ],
  ["a state of another cluster", fixtureInput({ ...three, name: "prod" }, before3), /state belongs to cluster "demo"/],
  [
    "a lost majority",
    fixtureInput(three, { observed: { ...allStopped(three), machines: [] } }),
    /Quorum is lost: 0 of 3/,
  ],
  [
    "a change of one voter beside which another one was added and has never started",
    fixtureInput(three, {
      state: settledState(one),
      observed: {
        ...settledObservation(one),
        membership: {
          ...settledObservation(one).membership!,
          members: [
            fixtureMember(one, "m1", { healthy: false }),
            fixtureMember(three, "m2", { ...silent, name: "", peerUrls: ["https://127.0.1.9:2380"] }),
          ],
          hasLeader: false,
        },
      },
    }),
    /Quorum is lost: 1 of 2 voters can come back, but 2 are needed/,
  ],
  [
    "a restart of one of two voters",
    fixtureInput({ ...two, controlPlane: { ...two.controlPlane, heartbeatIntervalMs: 50 } }, before2),
    /\(update agent m2\) would lose the quorum: 1 healthy of 2 voters, 2 needed/,
  ],
  [
    "a rebuild of one of two voters",
    fixtureInput(two, { ...before2, replace: ["haplan_machine.m1"] }),
    /\(stop agent m1\) would lose the quorum: 1 healthy of 2 voters, 2 needed/,
  ],
  [
    "turning TLS off",
    fixtureInput(fixtureSpec(["m1", "m2", "m3"], { tls: false }), before3),
    /TLS cannot be turned off/,
  ],
  [
    "another engine",
    fixtureInput(fixtureSpec(["m1", "m2", "m3"], { engine: "etcd" }), before3),
    /cannot change its engine from agent to etcd/,
  ],
  [
    "a CA that is gone",
    fixtureInput(three, { observed: { ...settledObservation(three), authority: null } }),
    /certificate authority of this cluster is missing/,
  ],
  [
    "growing a real etcd by two",
    fixtureInput(fixtureSpec(["m1", "m2", "m3", "m4", "m5"], { engine: "etcd" }), {
      state: settledState(fixtureSpec(["m1", "m2", "m3"], { engine: "etcd" })),
      observed: settledObservation(fixtureSpec(["m1", "m2", "m3"], { engine: "etcd" })),
    }),
    /would pass through 4 voters, an even number/,
  ],
  [
    "machines of two clusters and no state",
    fixtureInput(three, { state: null, observed: harmed(three, "m2", { lineage: "other" }) }),
    /belong to 2 different clusters/,
  ],
  [
    "replacing a healthy member while another one is unwell",
    fixtureInput(three, {
      replace: ["haplan_raft_member.m1"],
      observed: harmed(three, "m2", {}, { ...silent, raftIndex: 5 }),
    }),
    /\(stop agent m1\) would lose the quorum: 1 healthy of 3 voters, 2 needed/,
  ],
];

describe("planChanges, refusing", () => {
  it.each(refusals)("refuses %s, with a reason and a way out", (_, input, summary) => {
    const { refusal } = planChanges(input);
    expect(refusal?.map((each) => each.summary).join("\n")).toMatch(summary);
    for (const each of refusal ?? []) expect(each.detail?.length).toBeGreaterThan(20);
  });

  it("goes from two voters to three, never the other way", () => {
    const { plan } = planChanges(fixtureInput(three, before2));
    expect(plan?.timeline[0]).toMatchObject({ voters: 2, canLose: 0 });
    expect(plan?.timeline.at(-1)).toMatchObject({ voters: 3, canLose: 1 });
  });

  const neverStarted = { ...silent, name: "", clientUrls: [] };
  it.each([
    ["that was added by hand", "m9", {}],
    ["that was added by hand and has never started", "id-m9", neverStarted],
  ])("removes a voter %s, with a warning", (_, name, more) => {
    const settled = settledObservation(three);
    const guest = fixtureMember(three, "m9", { id: "id-m9", ...more });
    const membership = { ...settled.membership!, members: [...settled.membership!.members, guest] };
    const { plan } = planChanges(fixtureInput(three, { observed: { ...settled, membership } }));
    expect(plan?.warnings.map((warning) => warning.code)).toContain("plan/unknown-voter");
    expect(plan?.steps.map(({ title }) => title)).toEqual([`change voters: -${name}`, `remove member ${name}`]);
    expect(plan?.timeline[0]).toMatchObject({ voters: 4 });
  });

  it("rebuilds one of two voters only once a third one votes", () => {
    const { plan } = planChanges(fixtureInput(three, { ...before2, replace: ["haplan_machine.m1"] }));
    const ids = plan?.steps.map(({ id }) => id) ?? [];
    expect(ids.findIndex((id) => id.endsWith("m3/new"))).toBeLessThan(ids.indexOf("stopAgent:m1"));
    expect(plan?.timeline.every(({ canLose }) => canLose !== null)).toBe(true);
  });

  it.each(["agent", "etcd"] as const)(
    "lets a master that was removed from the cluster outside of haplan join on an empty data directory (%s)",
    (engine) => {
      const spec = fixtureSpec(["m1", "m2", "m3"], { engine });
      const settled = harmed(spec, "m2", stopped("m2"));
      const members = settled.membership!.members.filter(({ name }) => name !== "m2");
      const { plan } = planChanges(
        fixtureInput(spec, { observed: { ...settled, membership: { ...settled.membership!, members } } }),
      );
      const kinds = plan?.steps.map(({ action }) => action.kind).filter((kind) => kind !== "updateLoadBalancer");
      expect(kinds?.slice(0, 5)).toEqual([
        "destroyMachine",
        "createMachine",
        "addLearner",
        "startAgent",
        "awaitCatchUp",
      ]);
      expect(plan?.timeline.at(-1)).toMatchObject({ voters: 3, canLose: 1 });
    },
  );

  it("keeps the lineage that it adopts", () => {
    expect(planChanges(fixtureInput(three, { state: null })).plan?.binding.stateLineage).toBe(fixtureLineage);
  });
});
