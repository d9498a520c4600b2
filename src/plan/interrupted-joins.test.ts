// What a plan does with learners that an apply has started, and that have no votes yet because it was stopped.
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  fixtureInput,
  fixtureMember,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedMember } from "./observed-cluster.ts";
import type { Plan } from "./plan.ts";
import type { PlannerInput } from "./planner-input.ts";

const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
const newMembers = ["m4", "m5"];

/** Both learners are started; `more` is what is found of m5. */
function stopped(more: Partial<ObservedMember>, hasData = true): PlannerInput {
  const observed = settledObservation(five);
  const members = observed.membership!.members.map((member) => {
    if (!newMembers.includes(member.name)) return member;
    return fixtureMember(five, member.name, { learner: true, ...(member.name === "m5" ? more : {}) });
  });
  const machines = observed.machines.map((machine) => (machine.name === "m5" ? { ...machine, hasData } : machine));
  const state = settledState(five);
  const resources = state.resources.map((resource) =>
    resource.type === "haplan_raft_member" && newMembers.includes(resource.name)
      ? { ...resource, attributes: { ...resource.attributes, role: "learner" } }
      : resource,
  );
  return fixtureInput(five, {
    state: { ...state, resources },
    observed: { ...observed, machines, membership: { ...observed.membership!, members } },
  });
}

/** A learner that was added for another machine, and has neither started nor a name. */
function withOrphan(before: ClusterSpec, spec: ClusterSpec): PlannerInput {
  const { membership, ...rest } = settledObservation(before);
  const orphan = fixtureMember(spec, "m9", {
    name: "",
    peerUrls: ["https://127.0.1.9:2380"],
    clientUrls: [],
    learner: true,
    healthy: false,
    raftIndex: null,
  });
  return fixtureInput(spec, {
    state: settledState(before),
    observed: { ...rest, membership: { ...membership!, members: [...membership!.members, orphan] } },
  });
}

const titles = (plan: Plan): readonly string[] => plan.steps.map(({ title }) => title);
const vote = ["wait for m4 to catch up (lag <= 1000)", "wait for m5 to catch up (lag <= 1000)"];

describe("a plan after an apply that was stopped while learners catch up", () => {
  it("F17: starts none of those again that run as they were started", () => {
    const plan = planOf(stopped({}));
    expect(titles(plan).slice(0, 3)).toEqual([...vote, "change voters: +m4 +m5"]);
    const agents = plan.changes.filter(({ type }) => type === "haplan_agent");
    expect(agents.map(({ action }) => action)).toEqual(["noop", "noop", "noop", "noop", "noop"]);
  });

  it.each([
    ["answers", { name: "" }],
    ["does not answer yet", { name: "", healthy: false, raftIndex: null }],
  ])("F17: keeps the data of one that has not told its name and %s", (_, more) => {
    const plan = planOf(stopped(more));
    expect(plan.steps.map(({ action }) => action.kind)).not.toContain("destroyMachine");
    expect(plan.steps.map(({ action }) => action.kind)).not.toContain("removeMember");
    expect(titles(plan)).not.toContain("start agent m4");
  });

  it("F17: starts one again whose files or configuration have changed, or whose certificate is issued anew", () => {
    const input = stopped({});
    const unit = { ...input.observed.machines[4]!.units[0]!, definitionDigest: "another" };
    const machines = input.observed.machines.map((each) => (each.name === "m5" ? { ...each, units: [unit] } : each));
    const changed = { ...input, observed: { ...input.observed, machines } };
    expect(titles(planOf(changed))).toContain("start agent m5");
    const certificates = input.observed.certificates.filter(({ name }) => name !== "m5");
    expect(titles(planOf({ ...input, observed: { ...input.observed, certificates } }))).toContain("start agent m5");
    const slower = { ...five, controlPlane: { ...five.controlPlane, electionTimeoutMs: 2_000 } };
    expect(titles(planOf({ ...input, spec: slower }))).toEqual(
      expect.arrayContaining(["start agent m4", "start agent m5"]),
    );
  });
});

describe("a learner that has never started, for a machine that is in no spec", () => {
  it.each((["agent", "etcd"] as const).flatMap((engine) => [[engine, 2, 3] as const, [engine, 3, 5] as const]))(
    "is removed before any other joins (%s, from %i to %i)",
    (engine, from, to) => {
      const specOf = (count: number): ClusterSpec => {
        const spec = fixtureSpec(
          Array.from({ length: count }, (_, index) => `m${index + 1}`),
          { engine, workers: 0 },
        );
        return { ...spec, policy: { ...spec.policy, allowEvenSteps: true } };
      };
      const plan = planOf(withOrphan(specOf(from), specOf(to)));
      const changes = plan.steps.filter(({ action }) => /^(addLearner|changeVoters|removeMember)$/.test(action.kind));
      expect(changes[0]?.title).toBe("remove member id-m9");
      expect(plan.steps.map(({ action }) => action.kind)).not.toContain("destroyMachine");
      expect(plan.timeline.at(-1)).toMatchObject({ voters: to, learners: 0 });
    },
  );
});
