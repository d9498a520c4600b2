import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec } from "../../test/support/planned-cluster.ts";
import { adoptedInput, adoptedPair, adoptingSpec } from "./adopting-cluster.fixture.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";

const spec = adoptingSpec("etcd");
const destroying = (target: readonly string[], more: Partial<PlannerInput> = {}): PlannerInput => ({
  ...adoptedInput(spec),
  mode: "destroy",
  target,
  ...more,
});
const stepsOf = (input: PlannerInput): readonly string[] => planChanges(input).plan?.steps.map(({ id }) => id) ?? [];
const refusals = (input: PlannerInput): readonly string[] => planChanges(input).refusal?.map(({ code }) => code) ?? [];

describe("an adopted member", () => {
  it("that is named is taken from the clients, hands over and leaves the cluster, and nothing else is touched", () => {
    const { plan } = planChanges(destroying(["haplan_raft_member.m1"]));
    expect(plan?.steps.map(({ id }) => id)).toEqual([
      "updateLoadBalancer:m2,m3",
      "moveLeader:m1>m2",
      "removeMember:m1/id-m1",
    ]);
    expect(plan?.timeline.at(-1)).toMatchObject({ voters: 2, canLose: 0 });
    const changes = plan?.changes
      .filter(({ action }) => action !== "noop")
      .map(({ address, action }) => [address, action]);
    expect(changes).toEqual([
      ["haplan_lb_backend.m1", "delete"],
      ["haplan_load_balancer.load-balancer", "update"],
      ["haplan_raft_member.m1", "delete"],
    ]);
    expect(plan?.warnings.map(({ code }) => code)).toContain("plan/adopted-led-out");
  });

  it("is left alone if others or none are targeted", () => {
    expect(stepsOf(destroying(["haplan_machine.m3"]))).toEqual([
      "updateLoadBalancer:m1,m2",
      "removeMember:m3/id-m3",
      "stopAgent:m3",
      "destroyMachine:m3",
    ]);
    expect(stepsOf(destroying(["haplan_load_balancer.load-balancer"]))).toEqual(["stopLoadBalancer"]);
    expect(stepsOf(destroying([])).filter((id) => id.startsWith("removeMember"))).toEqual(["removeMember:m3/id-m3"]);
  });

  const third = { healthy: false, raftIndex: null };
  const weak = adoptedInput(spec);
  const members = [...adoptedPair(spec), { ...weak.observed.membership!.members[2]!, ...third }];
  const m3dead = { ...weak.observed, membership: { ...weak.observed.membership!, members } };
  it.each<[string, PlannerInput, string]>([
    [
      "its going would cost the quorum",
      destroying(["haplan_raft_member.m1"], { observed: m3dead }),
      "plan/quorum-at-risk",
    ],
    [
      "all members are named",
      destroying(["m1", "m2", "m3"].map((name) => `haplan_raft_member.${name}`)),
      "plan/last-member",
    ],
    [
      "it is named beside what is no member",
      destroying(["haplan_raft_member.m1", "haplan_load_balancer.load-balancer"]),
      "plan/target-mixed",
    ],
  ])("stays when %s", (_, input, code) => {
    expect(refusals(input)).toEqual([code]);
  });
});

describe("T low: destroying everything while an adopted member is down", () => {
  const { observed } = adoptedInput(spec);
  const [first, ...others] = observed.membership!.members;
  const down = { ...first!, healthy: false, leader: false, raftIndex: null, answeredAt: undefined };
  const members = [down, ...others.map((member, index) => ({ ...member, leader: index === 0 }))];
  const withoutFirst = { ...observed, membership: { ...observed.membership!, members } };

  it("is refused with the way out, and that way can be gone", () => {
    const [refusal] = planChanges(destroying([], { observed: withoutFirst as typeof observed })).refusal ?? [];
    expect(refusal).toMatchObject({
      code: "plan/quorum-at-risk",
      detail: expect.stringContaining(
        "If m1, which was adopted, will not come back, remove it from the cluster first:",
      ),
      commands: [["destroy", "-target=haplan_raft_member.m1"]],
    });
    const way = destroying(["haplan_raft_member.m1"], { observed: withoutFirst as typeof observed });
    expect(stepsOf(way)).toEqual(["updateLoadBalancer:m2,m3", "removeMember:m1/id-m1"]);
  });
});

describe("a part of a cluster without adopted members", () => {
  const input = (target: readonly string[]): PlannerInput =>
    fixtureInput(fixtureSpec(["m1", "m2", "m3"]), { mode: "destroy", target });

  it("is destroyed with what depends on it, and no master is touched", () => {
    expect(stepsOf(input(["haplan_worker.w1"]))).toEqual(["stopWorker:w1"]);
    expect(stepsOf(input(["haplan_machine.load-balancer"]))).toEqual([
      "stopWorker:w1",
      "stopWorker:w2",
      "stopLoadBalancer",
      "destroyMachine:load-balancer",
    ]);
  });

  it.each(["haplan_raft_member.m1", "haplan_agent.m1", "haplan_machine.m1"])(
    "is never a master alone (%s)",
    (target) => {
      expect(refusals(input([target]))).toEqual(["plan/target-masters"]);
    },
  );
});

describe("a plan for an adopted member alone", () => {
  it("imports it and leaves the third for later", () => {
    const { resources, ...state } = adoptedInput(spec).state!;
    const fresh = adoptedInput(spec);
    const { plan } = planChanges({
      ...fresh,
      state: { ...state, resources: resources.filter(({ name }) => name === "m3") },
      observed: {
        ...fresh.observed,
        machines: [],
        backends: [],
        membership: { ...fresh.observed.membership!, members: adoptedPair(spec) },
      },
      target: ["haplan_raft_member.m1"],
    });
    expect(plan?.steps.map(({ id }) => id)).toEqual(["checkMembers:m1,m2"]);
    expect(plan?.changes.filter(({ importing }) => importing).map(({ name }) => name)).toEqual(["m1", "m2"]);
  });
});
