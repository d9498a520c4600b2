/** T5: what `-replace` asks for is done, or refused with what can be asked for; never dropped. */

import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  emptyObservation,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import { localModel } from "../providers/local/local-model.ts";
import { desiredResources } from "./desired-resources.ts";
import type { Plan } from "./plan.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";

const spec = fixtureSpec(["m1", "m2", "m3"]);
const settled = (more: Partial<PlannerInput>): PlannerInput =>
  fixtureInput(spec, { state: settledState(spec), observed: settledObservation(spec), ...more });

function planned(more: Partial<PlannerInput>): Plan {
  return planOf(settled(more));
}

const steps = (plan: Plan): readonly string[] => plan.steps.map(({ title }) => title);
const changed = (plan: Plan): readonly string[] =>
  plan.changes
    .filter(({ action }) => action !== "noop")
    .map(({ address, action, reason }) => `${action} ${address}: ${reason}`);

describe("a resource that is to be replaced as requested", () => {
  it.each([
    {
      address: "haplan_worker.w1",
      does: ["stop worker w1", "start worker w1"],
      changes: ["update haplan_worker.w1: as requested"],
    },
    {
      address: "haplan_load_balancer.load-balancer",
      does: ["stop load balancer", "start load balancer"],
      changes: ["update haplan_load_balancer.load-balancer: as requested"],
    },
    {
      address: "haplan_machine.w1",
      does: ["stop worker w1", "destroy machine w1", "create machine w1 (generation 2)", "start worker w1"],
      changes: ["deleteThenCreate haplan_machine.w1: as requested", "deleteThenCreate haplan_worker.w1: as requested"],
    },
    {
      address: "haplan_agent.m2",
      does: ["stop agent m2", "restart agent m2", "wait until m2 are healthy"],
      changes: ["update haplan_agent.m2: as requested"],
    },
    {
      // The leader: it hands over first.
      address: "haplan_agent.m1",
      does: ["move leader from m1 to m2", "stop agent m1", "restart agent m1", "wait until m1 are healthy"],
      changes: ["update haplan_agent.m1: as requested"],
    },
  ])("T5: $address", ({ address, does, changes }) => {
    const plan = planned({ replace: [address] });
    const shown = steps(plan).map((title) => title.replace(/^wait until (m\d).*/, "wait until $1 are healthy"));
    expect(shown).toEqual(does);
    expect(changed(plan)).toEqual(changes);
    for (const [index, step] of plan.steps.entries()) {
      if (index > 0) expect(step.after).toContain(plan.steps[index - 1]?.id);
    }
  });

  it("T5: is, whichever it is, or is refused by name", () => {
    for (const { address } of desiredResources(spec, localModel)) {
      const { plan, refusal } = planChanges(settled({ replace: [address] }));
      if (address.startsWith("haplan_ca.") || address.startsWith("haplan_lb_backend.")) {
        expect(refusal).toMatchObject([{ code: "plan/not-replaceable", address }]);
      } else {
        expect(plan?.steps.flatMap(({ addresses }) => addresses)).toContain(address);
        expect(plan?.changes.find((change) => change.address === address)).toMatchObject({ reason: "as requested" });
      }
    }
  });

  it("T5: is once, though something else asks for it as well", () => {
    const observed = settledObservation(spec);
    const machines = observed.machines.map((machine) => ({
      ...machine,
      units: machine.units.map((unit) => ({ ...unit, definitionDigest: "edited" })),
    }));
    for (const address of ["haplan_worker.w1", "haplan_load_balancer.load-balancer", "haplan_agent.m2"]) {
      const plan = planned({ replace: [address], observed: { ...observed, machines } });
      const own = plan.steps.filter((step) => step.addresses.some((each) => each === address));
      expect(own.map(({ action }) => action.kind)).toEqual([
        expect.stringMatching(/^stop/),
        expect.stringMatching(/^(start|restart)/),
      ]);
    }
  });

  it("T5: agents are restarted one at a time, the leader last, and never two at once", () => {
    const replace = ["haplan_agent.m1", "haplan_agent.m2", "haplan_agent.m3"];
    const plan = planned({ replace });
    expect(steps(plan).filter((title) => title.startsWith("stop"))).toEqual([
      "stop agent m2",
      "stop agent m3",
      "stop agent m1",
    ]);
    expect(Math.min(...plan.timeline.map(({ healthyVoters }) => healthyVoters))).toBe(2);
  });
});

describe("a request that is refused", () => {
  it.each<readonly [string, Partial<PlannerInput>, string, RegExp]>([
    [
      "a name that is not there",
      { replace: ["haplan_worker.w9"] },
      "plan/unknown-replace",
      /These can be replaced:\n {2}haplan_worker.w1/,
    ],
    [
      "a type that is not there",
      { replace: ["haplan_wroker.w1"] },
      "plan/unknown-replace",
      /Did you mean "haplan_worker.w1"\?/,
    ],
    ["a bare name", { replace: ["m2"] }, "plan/unknown-replace", /haplan_machine.m/],
    ["an empty one", { replace: [""] }, "plan/unknown-replace", /These can be replaced/],
    [
      "one beside a good one",
      { replace: ["haplan_worker.w1", "haplan_agent.m9"] },
      "plan/unknown-replace",
      /haplan_agent.m1/,
    ],
    [
      "a backend",
      { replace: ["haplan_lb_backend.m1"] },
      "plan/not-replaceable",
      /-replace=haplan_load_balancer.load-balancer/,
    ],
    ["the authority", { replace: ["haplan_ca.demo"] }, "plan/not-replaceable", /haplan certs rotate -ca` replaces it/],
    ["with destroy", { replace: ["haplan_worker.w1"], mode: "destroy" }, "plan/replace-excluded", /-destroy/],
    [
      "with refresh-only",
      { replace: ["haplan_worker.w1"], refreshOnly: true },
      "plan/replace-excluded",
      /-refresh-only/,
    ],
    [
      "what -target leaves out",
      { replace: ["haplan_worker.w1"], target: ["haplan_worker.w2"] },
      "plan/not-replaced",
      /Add -target=haplan_worker.w1/,
    ],
  ])("T5: %s", (_, more, code, detail) => {
    const { plan, refusal } = planChanges(settled(more));
    expect(plan).toBeUndefined();
    expect(refusal?.[0]?.code).toBe(code);
    expect(`${refusal?.[0]?.summary}\n${refusal?.[0]?.detail}`).toMatch(detail);
  });

  it("T5: before the cluster is there, what is made anyway is no fault, and what is made already is", () => {
    const first = fixtureInput(spec, {
      state: null,
      observed: emptyObservation,
      replace: ["haplan_machine.m2", "haplan_worker.w1"],
    });
    expect(planChanges(first).refusal).toBeUndefined();
    expect(planChanges(first).plan?.steps.map(({ title }) => title)).toContain("create machine m2");
    const observed = { ...settledObservation(spec), membership: null };
    const state = settledState(spec);
    const resources = state.resources.filter(({ type }) => type !== "haplan_raft_member");
    const forming = fixtureInput(spec, { state: { ...state, resources }, observed, replace: ["haplan_machine.m2"] });
    expect(planChanges(forming).refusal).toMatchObject([{ code: "plan/not-replaced", address: "haplan_machine.m2" }]);
  });
});

describe("-target", () => {
  it("T5: is checked and kept with -refresh-only as well", () => {
    const all = planned({
      refreshOnly: true,
      state: {
        ...settledState(spec),
        resources: settledState(spec).resources.filter(({ type }) => type !== "haplan_worker"),
      },
    });
    expect(all.steps.flatMap(({ addresses }) => addresses)).toEqual(["haplan_worker.w1", "haplan_worker.w2"]);
    const one = planned({
      refreshOnly: true,
      target: ["haplan_worker.w2"],
      state: {
        ...settledState(spec),
        resources: settledState(spec).resources.filter(({ type }) => type !== "haplan_worker"),
      },
    });
    expect(one.steps.flatMap(({ addresses }) => addresses)).toEqual(["haplan_worker.w2"]);
    const { refusal } = planChanges(settled({ refreshOnly: true, target: ["haplan_worker.w9"] }));
    expect(refusal).toMatchObject([{ code: "plan/unknown-target" }]);
  });
});
