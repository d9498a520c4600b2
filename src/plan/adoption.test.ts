import { describe, expect, it } from "vitest";
import { fixtureMember } from "../../test/support/planned-cluster.ts";
import { adoptedInput, adoptingSpec, adoptingInput as input, adoptedPair as pair } from "./adopting-cluster.fixture.ts";
import type { ObservedMember } from "./observed-cluster.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";

const kinds = (given: PlannerInput): readonly string[] =>
  planChanges(given).plan?.steps.map(({ action }) => action.kind) ?? [];

describe("two members that are adopted", () => {
  it.each(["agent", "etcd"] as const)(
    "get a third before the load balancer, looked at and saved first (%s)",
    (engine) => {
      const { plan } = planChanges(input(adoptingSpec(engine)));
      expect(plan?.steps.map(({ id }) => id)).toEqual([
        "checkMembers:m1,m2",
        "takeSnapshot",
        "createMachine:m3#1",
        "addLearner:m3",
        "startAgent:m3",
        "awaitCatchUp:m3",
        "changeVoters:m1/id-m1,m2/id-m2>m1/id-m1,m2/id-m2,m3/new",
        "awaitQuorum:m1,m2,m3",
        "createMachine:load-balancer#1",
        "startLoadBalancer:m1,m2,m3",
      ]);
      expect(plan?.steps.slice(1).every(({ after }) => after.length > 0)).toBe(true);
      expect(
        plan?.changes.filter(({ importing }) => importing).map(({ name, importing }) => [name, importing?.id]),
      ).toEqual([
        ["m1", "id-m1"],
        ["m2", "id-m2"],
      ]);
      expect(plan?.timeline.at(0)).toMatchObject({ voters: 2, canLose: 0 });
      expect(plan?.timeline.at(-1)).toMatchObject({ voters: 3, canLose: 1 });
      expect(plan?.timeline.some(({ votersOutgoing }) => votersOutgoing > 0)).toBe(engine === "agent");
      expect(plan?.warnings.map(({ summary }) => summary)).toEqual(["The current 2 voters tolerate 0 failures"]);
    },
  );

  it("are never started, stopped, given a machine or a certificate", () => {
    const { plan } = planChanges(input(adoptingSpec("agent")));
    const touched = plan?.steps.filter(({ addresses }) =>
      addresses.some((address) => /^haplan_(machine|agent|certificate)\.m[12]$/.test(address)),
    );
    expect(touched).toEqual([]);
  });

  it("are told to the newcomer when it starts, not by the plan", () => {
    const { plan } = planChanges(input(adoptingSpec("etcd")));
    const start = plan?.steps.find(({ action }) => action.kind === "startAgent")?.action;
    expect(start).toMatchObject({ join: null });
  });

  it("make the snapshot a condition when the policy says so", () => {
    const { plan } = planChanges(input(adoptingSpec("etcd", { backupBeforeMembershipChange: true })));
    const snapshots = plan?.steps.filter(({ action }) => action.kind === "takeSnapshot").map(({ action }) => action);
    expect(snapshots).toEqual([{ kind: "takeSnapshot", required: true }]);
  });

  const silent = { healthy: false, raftIndex: null, leader: false };
  const blocked = { healthy: false, leader: false };
  const spec = adoptingSpec("etcd");
  const refusals: readonly (readonly [string, PlannerInput, string, RegExp])[] = [
    ["no member answers", input(spec, null), "plan/adopt-no-answer", /are not changed/],
    [
      "one is dead",
      input(spec, { members: pair(spec, [blocked, silent]), hasLeader: false }),
      "plan/adopt-unhealthy",
      /1 answers: no member can be added/,
    ],
    [
      "the second one was added and has never started",
      input(spec, {
        members: [
          ...pair(spec, [blocked]).slice(0, 1),
          fixtureMember(spec, "m2", { ...silent, name: "", clientUrls: [] }),
        ],
        hasLeader: false,
      }),
      "plan/quorum-lost",
      /id-m2 \(it was added and has never started\).*Or start id-m2 at http:\/\/127.0.1.2:2380 with an empty data directory/,
    ],
    [
      "one has an alarm",
      input(spec, { members: pair(spec, [{ alarms: ["alarm:NOSPACE"] }]) }),
      "plan/adopt-alarm",
      /defragment/,
    ],
    [
      "there is a foreign learner",
      input(spec, { members: [...pair(spec), fixtureMember(spec, "m9", { learner: true })] }),
      "plan/adopt-learner",
      /member remove id-m9/,
    ],
    [
      "there is a third voter that is not listed",
      input(spec, { members: [...pair(spec), fixtureMember(spec, "m9")] }),
      "plan/adopt-unlisted-voter",
      /as a whole/,
    ],
    [
      "an endpoint belongs to another cluster",
      input(spec, { foreignEndpoints: [{ endpoint: "http://127.0.1.2:2379", clusterId: "c2" }] }),
      "plan/adopt-other-cluster",
      /c2/,
    ],
    ["they run another engine", input(spec, { engine: "agent" }), "plan/adopt-engine", /engine: agent/],
    [
      "one is to be replaced",
      input(spec, {}, { replace: ["haplan_raft_member.m1"] }),
      "plan/replace-adopted",
      /replaces it with a member of its own/,
    ],
  ];
  it.each(refusals)("are left untouched when %s", (_, given, code, wayOut) => {
    const { refusal } = planChanges(given);
    expect(refusal?.map((each) => each.code)).toContain(code);
    expect(refusal?.map(({ detail }) => detail).join("\n")).toMatch(wayOut);
  });
});

describe("a cluster with adopted members", () => {
  const spec = adoptingSpec("agent");
  const settled = (more: readonly Partial<ObservedMember>[] = []): PlannerInput => adoptedInput(spec, more);

  it("has nothing to do when all is well", () => {
    expect(kinds(settled())).toEqual([]);
  });

  it.each([
    ["etcd", "deleteThenCreate"],
    ["agent", "createThenDelete"],
  ] as const)(
    "T low: replaces a dead one that is no longer adopted, in the order that the plan shows (%s)",
    (engine, action) => {
      const adopting = adoptingSpec(engine);
      const masters = adopting.controlPlane.masters.map(({ adoptedAt, ...master }) =>
        master.name === "m1" || adoptedAt === undefined ? master : { ...master, adoptedAt },
      );
      const dead = adoptedInput(adopting, [{ healthy: false, raftIndex: null, leader: false }, { leader: true }]);
      const { plan } = planChanges({
        ...dead,
        spec: { ...adopting, controlPlane: { ...adopting.controlPlane, masters } },
      });
      const reason = "it does not answer and is no longer adopted";
      expect(plan?.changes).toContainEqual(
        expect.objectContaining({ address: "haplan_raft_member.m1", action, reason }),
      );
      expect(plan?.drift.map(({ address }) => address)).toEqual(["haplan_raft_member.m1"]);
      const steps = plan?.steps.map(({ id }) => id.split(":")[0]) ?? [];
      const removedFirst = steps.indexOf("removeMember") < steps.indexOf("addLearner");
      expect(removedFirst).toBe(action === "deleteThenCreate");
    },
  );

  it("says how to take over a live one that is no longer adopted, and leaves it", () => {
    const masters = spec.controlPlane.masters.map(({ adoptedAt, ...master }) =>
      master.name === "m1" || adoptedAt === undefined ? master : { ...master, adoptedAt },
    );
    const { plan } = planChanges({ ...settled(), spec: { ...spec, controlPlane: { ...spec.controlPlane, masters } } });
    expect(plan?.steps.map(({ action }) => action.kind)).toEqual(["recordState"]);
    expect(plan?.warnings).toMatchObject([
      {
        code: "plan/unmanaged-member",
        summary: "Voter m1 runs on no machine of haplan's",
        detail:
          "It answers at http://127.0.1.1:2380. haplan counts its vote and leaves its process alone. To have haplan run this master, stop that process, and apply: a new member takes its vote.",
      },
    ]);
  });

  it("says that an adopted member is away, and leaves it", () => {
    const { plan } = planChanges(settled([{}, { healthy: false, raftIndex: null }]));
    expect(plan?.steps).toEqual([]);
    expect(plan?.warnings.map(({ code }) => code)).toEqual(["plan/adopted-away"]);
    expect(plan?.drift.map(({ address }) => address)).toEqual(["haplan_raft_member.m2"]);
  });

  it("is destroyed by leading out what haplan has made", () => {
    const { plan } = planChanges({ ...settled(), mode: "destroy" });
    expect(plan?.steps.map(({ id }) => id)).toEqual([
      "stopLoadBalancer",
      "removeMember:m3/id-m3",
      "stopAgent:m3",
      "destroyMachine:load-balancer",
      "destroyMachine:m3",
    ]);
    expect(plan?.timeline.at(-1)).toMatchObject({ voters: 2, canLose: 0 });
  });

  it("is not destroyed while that would cost the adopted ones their quorum", () => {
    const { refusal } = planChanges({ ...settled([{}, { healthy: false, raftIndex: null }]), mode: "destroy" });
    expect(refusal?.map(({ code }) => code)).toEqual(["plan/quorum-at-risk"]);
  });
});
