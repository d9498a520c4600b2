/** Plans for a part of the view: targets, refresh only, and plans made from memory. */
import { describe, expect, it } from "vitest";
import { fakeRemoteModel } from "../../test/support/fake-remote-model.ts";
import { planOf } from "../../test/support/plan-of.ts";
import {
  emptyObservation,
  fixtureInput,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import { observationFromState } from "./observation-from-state.ts";
import type { Plan } from "./plan.ts";
import { planChanges } from "./planner.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { Attributes } from "./resource.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);

/** Three masters that are to be five, and both workers dead. */
function growing(more: Partial<PlannerInput> = {}): PlannerInput {
  const observed = settledObservation(three);
  const machines = observed.machines.map((machine) =>
    machine.name.startsWith("w")
      ? { ...machine, units: machine.units.map((unit) => ({ ...unit, running: false })) }
      : machine,
  );
  return fixtureInput(five, { state: settledState(three), observed: { ...observed, machines }, ...more });
}

const acting = (plan: Plan): readonly string[] =>
  plan.changes.filter(({ action }) => action !== "noop").map(({ address }) => address);

describe("a targeted plan", () => {
  it("holds what was asked for and nothing that it does not need", () => {
    const plan = planOf(growing({ target: ["haplan_machine.m4"] }));
    expect(plan.steps.map(({ id }) => id)).toEqual(["createMachine:m4#1"]);
    expect(acting(plan)).toEqual(["haplan_machine.m4"]);
    expect(plan.warnings).toMatchObject([{ code: "plan/targeted" }]);
  });

  it("takes a membership change whole", () => {
    const whole = planOf(growing());
    const plan = planOf(growing({ target: ["haplan_raft_member.m4"] }));
    const voters = (of: Plan): readonly number[] => of.timeline.map((row) => row.voters);
    expect(voters(plan)).toEqual(voters(whole));
    expect(plan.timeline.at(-1)?.voters).toBe(5);
    expect(plan.steps.map(({ id }) => id)).toContain("startAgent:m5");
    expect(plan.steps.map(({ id }) => id)).not.toContain("startWorker:w1");
  });

  /** A machine per master that changes while its agent is stopped, one that changes in place, one that is another machine. */
  const changing: readonly [string, Attributes][] = [
    ["a size, for which its agent stops", { size: "large" }],
    ["a disk, in place", { diskGb: 40 }],
    ["another image, with a new member", { image: "debian-14" }],
  ];
  const before: Attributes = { size: "small", image: "debian-13", diskGb: 20 };
  it.each(changing.flatMap(([what, change]) => ["m1", "m2", "m3"].map((name) => [what, name, change] as const)))(
    "A9: changes only the master that it names: %s of %s",
    (_, name, change) => {
      const state = settledState(three);
      const resources = state.resources.map((each) =>
        each.type === "haplan_machine" ? { ...each, attributes: { ...each.attributes, ...before } } : each,
      );
      const observed = settledObservation(three);
      const provider = fakeRemoteModel({ ...before, ...change });
      const given = { state: { ...state, resources }, observed, provider };
      const target = [`haplan_machine.${name}`];
      const plan = planOf(fixtureInput(three, { ...given, target }));
      const names = plan.steps.flatMap(({ action }) => ("machine" in action ? [action.machine] : []));
      expect([...new Set(names)]).toEqual([name]);
      const others = ["m1", "m2", "m3"].filter((each) => each !== name);
      for (const { id } of plan.steps)
        for (const other of others) expect(id).not.toMatch(new RegExp(`^\\w*(Agent|Machine|Member):${other}`));
      expect(acting(plan).filter((address) => others.some((other) => address.endsWith(`.${other}`)))).toEqual([]);
      expect(plan.timeline.every((row) => row.canLose !== null)).toBe(true);
      const whole = planOf(fixtureInput(three, given));
      expect(whole.steps.length).toBeGreaterThan(plan.steps.length);
    },
  );

  it("A9: changes only the agent that it names", () => {
    const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2000 } };
    const plan = planOf(
      fixtureInput(slower, {
        state: settledState(three),
        observed: settledObservation(three),
        target: ["haplan_agent.m3"],
      }),
    );
    expect(plan.steps.map(({ id }) => id)).toEqual(["updateAgent:m3", "awaitQuorum:m3"]);
  });

  it("every step that is waited for is in it, whatever the target", () => {
    for (const { address } of planOf(growing()).changes) {
      const { steps } = planOf(growing({ target: [address] }));
      const ids = new Set(steps.map(({ id }) => id));
      for (const step of steps) for (const id of step.after) expect(ids).toContain(id);
    }
  });

  it("an empty list of targets is no target", () => {
    expect(planOf(growing({ target: [] }))).toEqual(planOf(growing()));
  });

  it("a target that is not there is refused with the nearest that is", () => {
    const { refusal } = planChanges(growing({ target: ["haplan_worker.w3"] }));
    expect(refusal).toMatchObject([{ code: "plan/unknown-target", detail: expect.stringContaining("Did you mean") }]);
  });
});

describe("a refresh-only plan", () => {
  it("shows the drift and takes no step in the world", () => {
    const plan = planOf(growing({ refreshOnly: true }));
    expect(plan.drift.map(({ address }) => address)).toEqual(["haplan_worker.w1", "haplan_worker.w2"]);
    expect(plan.steps).toEqual([]);
    expect(acting(plan)).toEqual([]);
  });

  it("writes into the state what was found and is not there", () => {
    const state = settledState(three);
    const forgotten = { ...state, resources: state.resources.filter(({ type }) => type !== "haplan_lb_backend") };
    const plan = planOf(fixtureInput(three, { state: forgotten, refreshOnly: true }));
    expect(plan.steps.map(({ id }) => id)).toEqual(["recordState"]);
  });
});

describe("a plan from memory", () => {
  it("finds nothing to do where nothing was changed in the spec", () => {
    const state = settledState(three);
    const plan = planOf(fixtureInput(three, { state, observed: observationFromState(three, state) }));
    expect(plan.steps).toEqual([]);
  });

  it("plans the same steps for a change as one that looked at a healthy cluster", () => {
    const state = settledState(three);
    const looked = planOf(fixtureInput(five, { state, observed: settledObservation(three) }));
    const remembered = planOf(fixtureInput(five, { state, observed: observationFromState(five, state) }));
    expect(remembered.steps).toEqual(looked.steps);
  });

  it("of nothing is a first start", () => {
    expect(observationFromState(three, null)).toEqual(emptyObservation);
  });
});
