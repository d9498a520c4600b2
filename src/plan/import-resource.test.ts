import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  emptyObservation,
  fixtureInput,
  fixtureLineage,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import { localModel } from "../providers/local/local-model.ts";
import { clientUrl } from "../units/addresses.ts";
import { adoptedPair, adoptingInput, adoptingSpec } from "./adopting-cluster.fixture.ts";
import { desiredResources } from "./desired-resources.ts";
import { importResource } from "./import-resource.ts";
import type { Plan } from "./plan.ts";
import type { PlannerInput } from "./planner-input.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const noLineage = (): string => {
  throw new Error("A lineage was there");
};
const imported = (input: PlannerInput, address: string, id: string | null = null) =>
  importResource(input, { address, id }, noLineage);
const codes = (input: PlannerInput, address: string, id: string | null = null): readonly string[] =>
  imported(input, address, id).refusal?.map(({ code }) => code) ?? [];
const imports = (plan: Plan): readonly string[] =>
  plan.changes.filter(({ importing }) => importing !== undefined).map(({ address }) => address);

/** All but what can be seen, which is everything save what the load balancer serves. */
const seen = desiredResources(three, localModel)
  .filter(({ type }) => type !== "haplan_lb_backend")
  .map(({ address }) => address);

describe("an import", () => {
  it("takes everything that can be seen back into a state that was lost, and nothing else is planned then", () => {
    const observed = settledObservation(three);
    const members = seen.filter((address) => address.startsWith("haplan_raft_member."));
    let state: PlannerInput["state"] = null;
    for (const address of [...members, ...seen.filter((each) => !members.includes(each))]) {
      const result = imported(fixtureInput(three, { state, observed }), address);
      if (result.refusal !== undefined) throw new Error(`${address}: ${result.refusal[0]?.summary}`);
      state = result.state;
    }
    const settled = settledState(three);
    expect(state).toMatchObject({ lineage: fixtureLineage, serial: seen.length, clusterName: "demo" });
    for (const { address, attributes, generation, dependsOn } of settled.resources) {
      if (!seen.includes(address)) continue;
      const found = state?.resources.find((resource) => resource.address === address);
      expect(found).toMatchObject({ attributes, generation, dependsOn });
    }
    const steps = planOf(fixtureInput(three, { state, observed: { ...observed, backends: [] } })).steps;
    expect(steps.map(({ id }) => id)).toEqual(["updateLoadBalancer:m1,m2,m3"]);
  });

  it("keeps the generation that was found, so that a machine is never taken for a newer one", () => {
    const observed = settledObservation(three);
    const machines = observed.machines.map((machine) => ({ ...machine, generation: 4 }));
    const state = {
      ...settledState(three),
      resources: settledState(three).resources.filter(({ name }) => name !== "m2"),
    };
    for (const address of ["haplan_machine.m2", "haplan_raft_member.m2"] as const) {
      const { resource } = imported(fixtureInput(three, { state, observed: { ...observed, machines } }), address) as {
        resource: { generation: number; attributes: object };
      };
      expect(resource.generation).toBe(4);
      expect(resource.attributes).not.toHaveProperty("generation");
    }
  });

  const lost = fixtureInput(three, { state: null });
  const known = fixtureInput(three);
  const without = (type: string): PlannerInput => ({
    ...known,
    state: { ...settledState(three), resources: settledState(three).resources.filter((each) => each.type !== type) },
  });
  const workerGone = {
    ...without("haplan_worker"),
    observed: { ...known.observed, machines: known.observed.machines.filter(({ name }) => name !== "w1") },
  };
  it.each<[string, PlannerInput, string, string | null, string]>([
    ["an address that the spec does not ask for", lost, "haplan_machine.m9", null, "import/unknown-address"],
    ["what the state knows", known, "haplan_worker.w1", null, "import/managed"],
    ["what is not there", workerGone, "haplan_worker.w1", null, "import/not-found"],
    ["another's id", without("haplan_worker"), "haplan_worker.w1", "w2", "import/other-id"],
    ["another member's id", lost, "haplan_raft_member.m1", "id-m2", "import/other-id"],
    ["a machine before any member", lost, "haplan_machine.m1", null, "import/members-first"],
    ["what cannot be seen", without("haplan_lb_backend"), "haplan_lb_backend.m1", null, "import/not-importable"],
    [
      "a member while none answers",
      { ...lost, observed: emptyObservation },
      "haplan_raft_member.m1",
      null,
      "import/not-found",
    ],
    [
      "another cluster's state",
      { ...lost, state: { ...settledState(three), resources: [], clusterName: "other" } },
      "haplan_worker.w1",
      null,
      "plan/other-cluster",
    ],
  ])("is refused for %s", (_, input, address, id, code) => {
    expect(codes(input, address, id)).toEqual([code]);
  });

  it("finds a member by its id and by its client URL", () => {
    expect(codes(lost, "haplan_raft_member.m1", "id-m1")).toEqual([]);
    expect(codes(lost, "haplan_raft_member.m1", `${clientUrl(three, three.controlPlane.masters[0]!)}/`)).toEqual([]);
  });
});

describe("two members that are to be adopted", () => {
  const adopting = adoptingSpec("agent");
  const { masters } = adopting.controlPlane;
  const plain = fixtureSpec(["m1", "m2", "m3"], { tls: false, workers: 0 });
  const input = adoptingInput(adopting);
  const both = (): PlannerInput["state"] => {
    let state: PlannerInput["state"] = null;
    for (const [name, id] of [
      ["m1", "id-m1"],
      ["m2", clientUrl(adopting, masters[1]!)],
    ] as const) {
      const result = importResource({ ...input, state }, { address: `haplan_raft_member.${name}`, id }, () => "new");
      if (result.refusal !== undefined) throw new Error(result.refusal[0]?.summary);
      state = result.state;
    }
    return state;
  };

  it("are bound to their addresses by an import, and the plan then imports nothing and adds the third", () => {
    const state = both();
    expect(state).toMatchObject({ lineage: "new", serial: 2 });
    expect(state?.resources.map(({ attributes }) => attributes)).toMatchObject([
      { adopted: true, memberId: "id-m1", clientUrl: "http://127.0.1.1:2379", peerUrl: "http://127.0.1.1:2380" },
      { adopted: true, memberId: "id-m2" },
    ]);
    expect(imports(planOf(input))).toEqual(["haplan_raft_member.m1", "haplan_raft_member.m2"]);
    const plan = planOf({ ...input, state });
    expect(imports(plan)).toEqual([]);
    expect(plan.steps.map(({ id }) => id)).toContain("addLearner:m3");
  });

  it("are not imported while one of them is dead, nor without a word of the spec", () => {
    const silent = { healthy: false, raftIndex: null };
    const sick = adoptingInput(adopting, { members: adoptedPair(adopting, [{}, silent]) });
    expect(codes(sick, "haplan_raft_member.m1")).toEqual(["plan/adopt-unhealthy"]);
    const unsaid = importResource(
      { ...input, spec: plain, observed: emptyObservation },
      { address: "haplan_raft_member.m1", id: "http://127.0.1.1:2379" },
      noLineage,
    );
    expect(unsaid.refusal?.[0]?.detail).toContain("adopt: { endpoints: [http://127.0.1.1:2379] }");
    expect(imported(input, "haplan_machine.m1").refusal?.[0]?.detail).toContain("manages only haplan_raft_member.m1");
  });

  it("are recorded by a refresh-only plan, which adds no third", () => {
    const plan = planOf({ ...input, refreshOnly: true });
    expect(plan.steps.map(({ id, addresses }) => [id, addresses])).toEqual([
      ["recordState", ["haplan_raft_member.m1", "haplan_raft_member.m2"]],
    ]);
    expect(imports(plan)).toEqual(["haplan_raft_member.m1", "haplan_raft_member.m2"]);
    expect(plan.changes.filter(({ action }) => action !== "noop")).toEqual([]);
  });
});

describe("a refresh-only plan without a state", () => {
  it("takes over all that can be seen", () => {
    const plan = planOf(fixtureInput(three, { state: null, refreshOnly: true }));
    expect(plan.steps.map(({ action }) => action.kind)).toEqual(["recordState"]);
    expect([...imports(plan)].sort()).toEqual([...seen].sort());
  });
});
