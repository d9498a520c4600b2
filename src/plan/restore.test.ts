/** Plans that restore a backup: the order of their steps, and what they refuse. */
import { describe, expect, it } from "vitest";
import {
  emptyObservation,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { LoadBalancerTargets } from "../units/load-balancer-targets.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { type PlanResult, planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { RestoreRequest } from "./restore-request.ts";

const three = fixtureSpec(["m1", "m2", "m3"], { workers: 0, tls: false });
const restore: RestoreRequest = {
  backup: "demo.db",
  snapshot: "/x/restore/demo.db",
  snapshotSha256: "ab",
  snapshotBytes: 4096,
  revision: 100,
  storageVersion: null,
  cluster: "demo",
  createdAtMs: 0,
};
const settled = { state: settledState(three), observed: atRevision(settledObservation(three), 160) };

function atRevision(observed: ObservedCluster, revision: number): ObservedCluster {
  return { ...observed, membership: { ...observed.membership!, revision } };
}

function planned(spec: ClusterSpec, more: Partial<PlannerInput>): PlanResult {
  return planChanges(fixtureInput(spec, { restore, ...more }));
}

/** `title <- titles of the steps that it waits for`. */
function stepsOf({ plan, refusal }: PlanResult): readonly string[] {
  if (plan === undefined) throw new Error(refusal.map(({ summary }) => summary).join("\n"));
  const titles = new Map(plan.steps.map(({ id, title }) => [id, title]));
  return plan.steps.map(({ title, after }) => `${title} <- ${after.map((id) => titles.get(id)).join("; ") || "-"}`);
}

describe("a restore in place", () => {
  it("closes the load balancer, keeps the present data, stops all, fills all, starts all, and opens it again", () => {
    expect(stepsOf(planned(three, settled))).toMatchInlineSnapshot(`
      [
        "close load balancer: no targets <- -",
        "take a snapshot, if the members support it <- close load balancer: no targets",
        "stop agent m1 <- take a snapshot, if the members support it",
        "stop agent m2 <- take a snapshot, if the members support it",
        "stop agent m3 <- take a snapshot, if the members support it",
        "restore the data of m1 <- take a snapshot, if the members support it; stop agent m1; stop agent m2; stop agent m3",
        "restore the data of m2 <- take a snapshot, if the members support it; stop agent m1; stop agent m2; stop agent m3",
        "restore the data of m3 <- take a snapshot, if the members support it; stop agent m1; stop agent m2; stop agent m3",
        "start agent m1 <- restore the data of m1; restore the data of m2; restore the data of m3",
        "start agent m2 <- restore the data of m1; restore the data of m2; restore the data of m3",
        "start agent m3 <- restore the data of m1; restore the data of m2; restore the data of m3",
        "wait until m1, m2, m3 are healthy <- take a snapshot, if the members support it; start agent m1; start agent m2; start agent m3",
        "update load balancer: m1, m2, m3 <- wait until m1, m2, m3 are healthy",
      ]
    `);
  });

  it("raises the revision above every one that a client may have seen", () => {
    const { plan } = planned(three, settled);
    expect(plan?.restore).toMatchObject({ inPlace: true, presentRevision: 160, bumpRevision: 1_000_000_060 });
    const ahead = { ...settled, observed: atRevision(settled.observed, 5_000_000_000) };
    const { bumpRevision = 0 } = planned(three, ahead).plan?.restore ?? {};
    expect(100 + bumpRevision).toBeGreaterThan(5_000_000_000);
    const behind = { ...settled, observed: atRevision(settled.observed, 7) };
    expect(planned(three, behind).plan?.restore?.bumpRevision).toBe(1_000_000_000);
  });

  it("needs no quorum, and makes machines that are gone", () => {
    const machines = settled.observed.machines.filter(({ name }) => name !== "m1" && name !== "m2");
    const { plan } = planned(three, { ...settled, observed: { ...settled.observed, machines, membership: null } });
    const titles = plan?.steps.map(({ title }) => title) ?? [];
    expect(titles).toContain("create machine m1 (generation 2)");
    expect(titles).toContain("restore the data of m1");
    expect(titles).not.toContain("take a snapshot, if the members support it");
    expect(plan?.restore).toMatchObject({ presentRevision: null, bumpRevision: 1_000_000_000 });
  });

  it("replaces the members, and nothing else", () => {
    const { plan } = planned(three, settled);
    const changed = plan?.changes
      .filter(({ action }) => action !== "noop")
      .map(({ address, action }) => [address, action]);
    expect(changed?.sort()).toEqual([
      ["haplan_agent.m1", "update"],
      ["haplan_agent.m2", "update"],
      ["haplan_agent.m3", "update"],
      ["haplan_raft_member.m1", "deleteThenCreate"],
      ["haplan_raft_member.m2", "deleteThenCreate"],
      ["haplan_raft_member.m3", "deleteThenCreate"],
    ]);
  });

  it.each<[string, ClusterSpec, Partial<PlannerInput>, string]>([
    [
      "another cluster's backup",
      three,
      { ...settled, restore: { ...restore, cluster: "other" } },
      "plan/restore-other-cluster",
    ],
    [
      "a member that cannot be reached",
      three,
      { ...settled, observed: { ...settled.observed, unreachable: [{ name: "m2", reason: "no route to host" }] } },
      "plan/restore-unreachable",
    ],
    [
      "other members in the spec",
      fixtureSpec(["m1", "m2", "m4"], { workers: 0, tls: false }),
      settled,
      "plan/restore-other-members",
    ],
    [
      "a snapshot of etcd 3.6 and members of etcd 3.5",
      {
        ...three,
        controlPlane: { ...three.controlPlane, engine: "etcd", etcd: { version: "3.5.21", binary: "/usr/bin/etcd" } },
      },
      { ...settled, restore: { ...restore, storageVersion: "3.6" } },
      "plan/restore-newer-etcd",
    ],
    [
      "adopted members",
      {
        ...three,
        controlPlane: {
          ...three.controlPlane,
          masters: three.controlPlane.masters.map((each) => ({ ...each, adoptedAt: `http://${each.address}:2379` })),
        },
      },
      settled,
      "plan/restore-adopted",
    ],
  ])("is refused for %s", (_, spec, more, code) => {
    expect(planned(spec, more).refusal?.map((each) => each.code)).toContain(code);
  });
});

describe("a restore into a new cluster", () => {
  const nothing = { state: null, observed: emptyObservation };

  it("gives each member its data before its first start", () => {
    const steps = stepsOf(planned(three, nothing));
    expect(steps).toContain("restore the data of m1 <- create machine m1");
    expect(steps.find((step) => step.startsWith("start agent m2"))).toBe(
      "start agent m2 <- restore the data of m1; restore the data of m2; restore the data of m3",
    );
    expect(steps.some((step) => step.startsWith("close") || step.startsWith("stop"))).toBe(false);
  });

  it("takes the backup of any cluster", () => {
    const { plan } = planned(three, { ...nothing, restore: { ...restore, cluster: "other" } });
    expect(plan?.restore).toMatchObject({ inPlace: false, presentRevision: null });
  });
});

describe("a copy of a cluster that is followed", () => {
  const follows = { engine: "etcd", targets: { "migrated-from-1": "127.0.9.1:2379" } } as const;
  const withType = (type: "embedded" | "haproxy"): ClusterSpec => ({
    ...three,
    loadBalancer: { ...three.loadBalancer, type },
  });

  it.each([
    ["embedded", undefined],
    ["haproxy", true],
  ] as const)("14/4: a load balancer of type %s begins with the members that are followed", (type, throughRelay) => {
    const { plan } = planned(withType(type), {
      state: null,
      observed: emptyObservation,
      restore: { ...restore, follows },
    });
    const action = plan?.steps.find(({ action }) => action.kind === "startLoadBalancer")?.action;
    expect(action).toMatchObject({ backends: ["migrated-from-1"], formerTargets: follows.targets, engine: "etcd" });
    expect((action as LoadBalancerTargets | undefined)?.throughRelay).toBe(throughRelay);
  });

  // A later plan took it to have the targets of the spec already, and left HAProxy with its relay.
  it("14/4: a load balancer that runs is left as the state has it when the copy is made anew", () => {
    const recorded = settled.state.resources.map((resource) =>
      resource.type === "haplan_load_balancer"
        ? { ...resource, attributes: { ...resource.attributes, configDigest: "of the members that are followed" } }
        : resource,
    );
    const state = { ...settled.state, resources: recorded };
    const { plan } = planned(three, { ...settled, state, restore: { ...restore, follows } });
    expect(plan?.changes.find(({ type }) => type === "haplan_load_balancer")).toMatchObject({
      action: "noop",
      after: { configDigest: "of the members that are followed" },
    });
  });
});
