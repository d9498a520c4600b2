// A master with another name and the same machine: as the spec tells it, as a state tells it, and what is left unclear.
import { describe, expect, it } from "vitest";
import { planOf } from "../../test/support/plan-of.ts";
import {
  fixtureInput,
  fixtureMachine,
  fixtureSpec,
  settledObservation,
  settledState,
} from "../../test/support/planned-cluster.ts";
import type { ClusterSpec, MovedMaster } from "../spec/cluster-spec.ts";
import { moveResources } from "./moved-masters.ts";
import type { Plan } from "./plan.ts";
import type { PlannerInput } from "./planner-input.ts";

const before = fixtureSpec(["m1", "m2", "m3"]);
const move: MovedMaster = { from: "m1", to: "m8" };

function renamed(moved?: readonly MovedMaster[]): ClusterSpec {
  const masters = before.controlPlane.masters.map((master) =>
    master.name === "m1" ? { ...master, name: "m8" } : master,
  );
  return { ...before, controlPlane: { ...before.controlPlane, masters, ...(moved === undefined ? {} : { moved }) } };
}

function planned(spec: ClusterSpec, more: Partial<PlannerInput> = {}): Plan {
  const input = fixtureInput(spec, { state: settledState(before), observed: settledObservation(before), ...more });
  return planOf(input);
}

const titles = (plan: Plan): readonly string[] => plan.steps.map(({ title }) => title);
const restart = ["rename master m1 to m8", "move leader from m8 to m2", "update agent m8", "wait until m8 is healthy"];

describe("a master that has another name", () => {
  it("T2: keeps its machine and data, and restarts once with the new name", () => {
    const plan = planned(renamed([move]));
    expect(titles(plan)).toEqual(expect.arrayContaining(restart));
    const kinds = new Set(plan.steps.map(({ action }) => action.kind));
    for (const kind of ["addLearner", "createMachine", "destroyMachine", "changeVoters"])
      expect(kinds).not.toContain(kind);
    expect(plan.timeline.every(({ canLose }) => canLose !== null)).toBe(true);
    const changes = plan.changes
      .filter(({ name }) => name === "m8")
      .map(({ address, action, movedFrom }) => [address, action, movedFrom]);
    expect(changes).toEqual([
      ["haplan_certificate.m8", "create", undefined],
      ["haplan_machine.m8", "noop", "haplan_machine.m1"],
      ["haplan_agent.m8", "update", "haplan_agent.m1"],
      ["haplan_raft_member.m8", "noop", "haplan_raft_member.m1"],
      ["haplan_lb_backend.m8", "noop", "haplan_lb_backend.m1"],
    ]);
    expect(plan.changes.filter(({ name }) => name === "m1").map(({ address, action }) => [address, action])).toEqual([
      ["haplan_certificate.m1", "delete"],
    ]);
  });

  it("T2: is the same one also when only the state was told, by state mv", () => {
    const state = settledState(before);
    const moved = { ...state, resources: moveResources(state.resources, move) };
    expect(titles(planned(renamed(), { state: moved }))).toEqual(titles(planned(renamed([move]))));
  });

  it("T2: goes on from a rename that was cut off between machine and state, also without the entry, and back", () => {
    const observed = settledObservation(before);
    const machines = observed.machines.map((machine) => (machine.name === "m1" ? { ...machine, name: "m8" } : machine));
    const half = { observed: { ...observed, machines } };
    expect(titles(planned(renamed([move]), half))).toEqual(expect.arrayContaining(restart));
    expect(titles(planned(renamed(), half))).toEqual(expect.arrayContaining(restart));
    expect(titles(planned(before, half))).toEqual(["rename master m8 to m1"]);
  });

  it("T2: is told once: an entry that is done, or whose master never was, changes nothing", () => {
    const spec = renamed([move, { from: "m0", to: "m2" }]);
    const done = renamed();
    expect(titles(planned(spec, { state: settledState(done), observed: settledObservation(done) }))).toEqual([]);
  });

  it("T2: is not taken for another one that is there beside it", () => {
    const observed = settledObservation(before);
    const both = [...observed.machines, fixtureMachine("m8", "127.0.1.8", "agent")];
    const spec = renamed([move]);
    const masters = spec.controlPlane.masters.map((each) =>
      each.name === "m8" ? { ...each, address: "127.0.1.8" } : each,
    );
    const beside = { ...spec, controlPlane: { ...spec.controlPlane, masters } };
    const plan = planned(beside, { observed: { ...observed, machines: both } });
    expect(plan.warnings.map(({ code, summary }) => [code, summary])).toEqual([
      ["plan/moved-unclear", "m1 has not moved to m8: both exist"],
    ]);
    expect(plan.steps.some(({ action }) => action.kind === "renameMaster")).toBe(false);
  });

  it("T2: is not renamed by a plan that only refreshes the state", () => {
    expect(planned(renamed([move]), { refreshOnly: true }).steps.map(({ action }) => action.kind)).not.toContain(
      "renameMaster",
    );
  });
});
