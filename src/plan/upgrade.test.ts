/** Plans for another version of haplan's programs: in which order, and what is shown. */
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  fixtureInitialCluster,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { State } from "./state.ts";
import { stepTitle } from "./step-name.ts";

const older = "0.3.0 (sha256:1a2b3c4d5e6f)";
const newer = "0.4.0 (sha256:a1b2c3d4e5f6)";
const three = fixtureSpec(["m1", "m2", "m3"]);
const versioned = new Set(["haplan_agent", "haplan_load_balancer", "haplan_worker"]);

type Versions = { readonly [name: string]: string | null };

/** The state of a cluster whose units run `version`, but for those that `others` names; null: the state has no version. */
function stateWith(spec: ClusterSpec, version: string | null, others: Versions = {}): State {
  const state = settledState(spec);
  const resources = state.resources.map((resource) => {
    const own = resource.name in others ? others[resource.name]! : version;
    if (!versioned.has(resource.type) || own === null) return resource;
    return { ...resource, attributes: { ...resource.attributes, artifact: own } };
  });
  return { ...state, resources };
}

/** The units as they are found; a version of null is not reported, as by a haplan-host of the first release. */
function observedWith(
  spec: ClusterSpec,
  version: string | null,
  others: Versions = {},
  leader: string = "m1",
): ObservedCluster {
  const observed = settledObservation(spec);
  const machines = observed.machines.map((machine) => {
    const own = machine.name in others ? others[machine.name]! : version;
    const units = machine.units.map((unit) => (own === null ? unit : { ...unit, artifact: own }));
    return { ...machine, units };
  });
  const { membership } = observed;
  const members = membership!.members.map((member) => ({ ...member, leader: member.name === leader }));
  return { ...observed, machines, membership: { ...membership!, members } };
}

function plan(spec: ClusterSpec, more: Partial<PlannerInput>): Plan {
  return planOf(fixtureInput(spec, more));
}

/** The ids of the steps in their order. */
const stepsOf = ({ steps }: Plan): readonly string[] => steps.map(({ id }) => id);

describe("another version of haplan", () => {
  const table: readonly (readonly [string, ClusterSpec, string, readonly string[]])[] = [
    [
      "three masters",
      three,
      "m1",
      [
        "upgradeAgent:m2",
        "awaitQuorum:m2",
        "upgradeAgent:m3",
        "awaitQuorum:m3",
        "moveLeader:m1>m2",
        "upgradeAgent:m1",
        "awaitQuorum:m1",
        "updateLoadBalancer:m1,m2,m3",
        "startWorker:w1",
        "startWorker:w2",
      ],
    ],
    [
      "five masters, led by the third",
      fixtureSpec(["m1", "m2", "m3", "m4", "m5"], { workers: 0 }),
      "m3",
      [
        "upgradeAgent:m1",
        "awaitQuorum:m1",
        "upgradeAgent:m2",
        "awaitQuorum:m2",
        "upgradeAgent:m4",
        "awaitQuorum:m4",
        "upgradeAgent:m5",
        "awaitQuorum:m5",
        "moveLeader:m3>m1",
        "upgradeAgent:m3",
        "awaitQuorum:m3",
        "updateLoadBalancer:m1,m2,m3,m4,m5",
      ],
    ],
  ];
  it.each(table)(
    "goes to %s one at a time, the leader last, then to load balancer and workers",
    (_, spec, leader, ids) => {
      const state = stateWith(spec, older);
      const made = plan(spec, { state, observed: observedWith(spec, older, {}, leader), artifact: newer });
      expect(stepsOf(made)).toEqual(ids);
      const chain = made.steps.filter(({ action }) => action.kind !== "startWorker");
      for (const [at, { after }] of chain.entries()) expect(after).toEqual(at === 0 ? [] : [chain[at - 1]!.id]);
      const balancer = chain.at(-1);
      const workers = made.steps.filter(({ action }) => action.kind === "startWorker");
      for (const { after } of workers) expect(after).toEqual([balancer!.id]);
    },
  );

  it("is shown as an attribute of each unit, and in the titles of the steps", () => {
    const made = plan(three, { state: stateWith(three, older), observed: observedWith(three, older), artifact: newer });
    const changed = made.changes.filter(({ action }) => action !== "noop");
    expect(changed.map(({ address }) => address)).toEqual([
      "haplan_agent.m1",
      "haplan_agent.m2",
      "haplan_agent.m3",
      "haplan_load_balancer.load-balancer",
      "haplan_worker.w1",
      "haplan_worker.w2",
    ]);
    for (const { action, reason, before, after } of changed) {
      expect([action, reason]).toEqual(["update", "its version of haplan changes"]);
      expect([before?.["artifact"], after?.["artifact"]]).toEqual([older, newer]);
    }
    expect(made.steps[0]?.title).toBe("upgrade agent m2 to 0.4.0");
    expect(made.timeline.map(({ healthyVoters }) => healthyVoters)).toEqual([3, 2, 3, 2, 3, 3, 2, 3, 3]);
  });

  it.each<[string | null, string, string]>([
    ["0.3.0 (build 0123456789ab)", "0.4.0 (build 6789abcdef01)", "upgrade agent m2 to 0.4.0"],
    [null, "0.4.0 (build 6789abcdef01)", "upgrade agent m2 to 0.4.0"],
    ["0.9.0 (build 01)", "0.10.0 (build 02)", "upgrade agent m2 to 0.10.0"],
    ["0.10.0 (build 02)", "0.9.0 (build 01)", "downgrade agent m2 from 0.10.0 to 0.9.0"],
    ["1.0.0 (build 02)", "1.0.0-rc.1 (build 01)", "upgrade agent m2 to 1.0.0-rc.1"],
    [
      "0.1.0 (build 0123456789ab)",
      "0.1.0 (sha256:6789abcdef01)",
      "upgrade agent m2: 0.1.0 from build 0123456789ab to sha256:6789abcdef01",
    ],
  ])("from %s to %s is called what it is", (from, to, title) => {
    const action = { kind: "upgradeAgent", member: "m2", join: fixtureInitialCluster("m2"), from, to } as const;
    expect(stepTitle(action)).toBe(title);
  });

  it.each<[string, State, ObservedCluster, readonly string[]]>([
    ["nothing where all run it", stateWith(three, newer), observedWith(three, newer), []],
    ["nothing where the hosts do not say", stateWith(three, newer), observedWith(three, null), []],
    [
      "the rest after a roll that stopped",
      stateWith(three, newer, { m1: older, m3: older }),
      observedWith(three, newer, { m1: older, m3: older }),
      ["upgradeAgent:m3", "awaitQuorum:m3", "moveLeader:m1>m2", "upgradeAgent:m1", "awaitQuorum:m1"],
    ],
    [
      "all where the state is of a haplan without versions",
      stateWith(three, null),
      observedWith(three, null),
      stepsOf(plan(three, { state: stateWith(three, older), observed: observedWith(three, older), artifact: newer })),
    ],
    [
      "one that was given another version outside of haplan",
      stateWith(three, newer),
      observedWith(three, newer, { m2: older }),
      ["upgradeAgent:m2", "awaitQuorum:m2"],
    ],
    [
      "one whose upgrade was cut short before the state was written",
      stateWith(three, newer, { m2: older }),
      observedWith(three, newer),
      ["upgradeAgent:m2", "awaitQuorum:m2"],
    ],
  ])("plans %s", (_, state, observed, ids) => {
    expect(stepsOf(plan(three, { state, observed, artifact: newer }))).toEqual(ids);
  });

  it.each([
    ["is stopped", { running: false, pid: null }, ["upgradeAgent:m2", "awaitQuorum:m2"]],
    ["does not answer", {}, ["upgradeAgent:m2", "awaitQuorum:m2"]],
  ] as const)("is watched on a member that %s as on any other, and goes there first", (_, more, first) => {
    const found = observedWith(three, older);
    const observed: ObservedCluster = {
      ...found,
      machines: found.machines.map((machine) =>
        machine.name === "m2" ? { ...machine, units: machine.units.map((unit) => ({ ...unit, ...more })) } : machine,
      ),
      membership: {
        ...found.membership!,
        members: found.membership!.members.map((member) =>
          member.name === "m2" ? { ...member, healthy: false, raftIndex: null } : member,
        ),
      },
    };
    const made = plan(three, { state: stateWith(three, older), observed, artifact: newer });
    expect(stepsOf(made).slice(0, 4)).toEqual([...first, "upgradeAgent:m3", "awaitQuorum:m3"]);
    expect(stepsOf(made).filter((id) => id === "upgradeAgent:m2")).toHaveLength(1);
    expect(made.steps[0]?.action).toMatchObject({ from: older, to: newer });
    const without = plan(three, { state: stateWith(three, older), observed, artifact: older });
    expect(stepsOf(without)).toEqual(["restartAgent:m2", "awaitQuorum:m2"]);
  });

  it.each<[string, string | null, ClusterSpec, string, string]>([
    [
      "a version that the state does not have",
      null,
      three,
      "update agent m2",
      "already, and the state has another one or none",
    ],
    [
      "an upgrade that was cut short",
      older,
      three,
      "upgrade agent m2 to 0.4.0",
      "already, and the state has another one or none",
    ],
    [
      "a changed configuration as well",
      null,
      { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } },
      "update agent m2",
      "already, and the state has another one or none, and its configuration has changed",
    ],
  ])("is no upgrade to itself where the unit runs it already: %s", (_, recorded, spec, title, reason) => {
    const found = { state: stateWith(three, newer, { m2: recorded }), observed: observedWith(three, newer) };
    const made = plan(spec, { ...found, artifact: newer });
    expect(made.steps[0]?.title).toBe(title);
    const change = made.changes.find(({ address }) => address === "haplan_agent.m2");
    expect(change?.reason).toBe(`it runs its version of haplan ${reason}`);
  });

  it("is watched on a new member before that gets its vote, and only where it is another one", () => {
    const masters = three.controlPlane.masters.map((each) =>
      each.name === "m2" ? { ...each, address: "127.0.1.42" } : each,
    );
    const moved = { ...three, controlPlane: { ...three.controlPlane, masters } };
    for (const [version, steady] of [
      [newer, { steadyMs: 10_000 }],
      [older, {}],
    ] as const) {
      const found = { state: stateWith(three, older), observed: observedWith(three, older), artifact: version };
      const waits = plan(moved, found).steps.filter(({ action }) => action.kind === "awaitCatchUp");
      const { maxLearnerLagEntries: maxLagEntries } = three.policy;
      expect(waits.map(({ action }) => action)).toEqual([
        { kind: "awaitCatchUp", member: "m2", memberId: null, maxLagEntries, ...steady },
      ]);
    }
  });

  it("reports a version that was changed outside of haplan as drift", () => {
    const observed = observedWith(three, newer, { m2: older });
    const { drift } = plan(three, { state: stateWith(three, newer), observed, artifact: newer });
    expect(drift).toMatchObject([
      { address: "haplan_agent.m2", before: { artifact: newer }, after: { artifact: older } },
    ]);
  });

  it("is planned without state, where the hosts report an older one", () => {
    const observed = observedWith(three, older);
    const made = plan(three, { state: null, observed, artifact: newer });
    expect(stepsOf(made).filter((id) => id.startsWith("upgradeAgent"))).toHaveLength(3);
  });

  it("is one step together with a changed configuration, or with a requested restart", () => {
    const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } };
    const found = { state: stateWith(three, older), observed: observedWith(three, older), artifact: newer };
    expect(stepsOf(plan(slower, found)).slice(0, 4)).toEqual([
      "upgradeAgent:m2",
      "awaitQuorum:m2",
      "upgradeAgent:m3",
      "awaitQuorum:m3",
    ]);
    const restarted = plan(three, { ...found, replace: ["haplan_agent.m2"] });
    expect(stepsOf(restarted).slice(0, 4)).toEqual([
      "upgradeAgent:m2",
      "awaitQuorum:m2",
      "upgradeAgent:m3",
      "awaitQuorum:m3",
    ]);
  });

  it("does not concern programs that are not haplan's, nor a provider that does not distinguish versions", () => {
    const etcd = fixtureSpec(["m1", "m2", "m3"], { engine: "etcd", workers: 0 });
    const haproxy: ClusterSpec = { ...etcd, loadBalancer: { ...etcd.loadBalancer, type: "haproxy" } };
    const found = { state: settledState(haproxy), observed: settledObservation(haproxy) };
    expect(stepsOf(plan(haproxy, { ...found, artifact: newer }))).toEqual([]);
    const without = { state: settledState(three), observed: settledObservation(three) };
    expect(stepsOf(plan(three, without))).toEqual([]);
  });

  it("is not recorded by a refresh: no unit runs it yet", () => {
    const found = { state: stateWith(three, older), observed: observedWith(three, older), artifact: newer };
    const { steps, changes } = plan(three, { ...found, refreshOnly: true });
    const recorded = steps.filter(({ action }) => action.kind === "recordState").flatMap(({ addresses }) => addresses);
    const versions = changes
      .filter(({ address }) => recorded.includes(address))
      .map(({ after }) => after?.["artifact"]);
    expect(versions.filter((version) => version === newer)).toEqual([]);
  });
});
