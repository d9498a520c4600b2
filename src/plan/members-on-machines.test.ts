// A state by hand may give a member, or its machine, another name than the machine on which it runs has.
import { describe, expect, it } from "vitest";
import { fixtureInput, fixtureSpec, settledObservation, settledState } from "../../test/support/planned-cluster.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { planChanges } from "./planner.ts";
import type { ResourceType } from "./resource.ts";
import type { State } from "./state.ts";

const spec = fixtureSpec(["m1", "m2", "m3"]);

/** Only the entries of these types have other names. */
function renamedInState(names: Readonly<Record<string, string>>, types: readonly ResourceType[]): State {
  const state = settledState(spec);
  const resources = state.resources.map((resource) => {
    const name = types.includes(resource.type) ? names[resource.name] : undefined;
    return name === undefined ? resource : { ...resource, name, address: `${resource.type}.${name}` as const };
  });
  return { ...state, resources };
}

function planned(state: State, observed: ObservedCluster): ReturnType<typeof planChanges> {
  return planChanges(fixtureInput(spec, { state, observed }));
}

const types: readonly ResourceType[] = ["haplan_machine", "haplan_agent", "haplan_raft_member"];
const harmless = ["recordState", "renameMaster", "updateAgent", "awaitQuorum", "moveLeader"];
const cases = [{ m1: "m8" }, { m2: "m8" }, { m2: "m3", m3: "m2" }, { m1: "m2", m2: "m3", m3: "m1" }].flatMap((names) =>
  [...types.map((type) => [type]), types].map((moved) => ({ names, moved })),
);

describe("a member whose name in the state is not that of its machine", () => {
  it.each(cases)("B6: keeps its machine, whatever name the state gives: $names of $moved", ({ names, moved }) => {
    const { plan, refusal } = planned(renamedInState(names, moved), settledObservation(spec));
    expect(refusal).toBeUndefined();
    const kinds = plan!.steps.map(({ action }) => action.kind);
    expect(kinds.filter((kind) => !harmless.includes(kind))).toEqual([]);
    expect(plan!.warnings).toEqual([]);
    expect(plan!.timeline.every(({ canLose }) => canLose !== null)).toBe(true);
  });

  it.each(cases)("B6: is started where it is after all have stopped: $names of $moved", ({ names, moved }) => {
    const running = settledObservation(spec);
    const machines = running.machines.map((machine) => ({
      ...machine,
      units: machine.units.map((unit) => ({ ...unit, running: false, pid: null })),
    }));
    const { plan, refusal } = planned(renamedInState(names, moved), { ...running, machines, membership: null });
    expect(refusal).toBeUndefined();
    const kinds = plan!.steps.map(({ action }) => action.kind);
    expect(kinds.filter((kind) => kind === "restartAgent")).toHaveLength(3);
    expect(kinds.filter((kind) => kind === "destroyMachine" || kind === "removeMember")).toEqual([]);
  });

  it("B6: a machine at a voter's address is not destroyed, also where neither of the names is the member's", () => {
    const running = settledObservation(spec);
    const members = running.membership!.members.map((each) => (each.name === "m1" ? { ...each, name: "m0" } : each));
    const observed = { ...running, membership: { ...running.membership!, members } };
    const { refusal } = planned(renamedInState({ m1: "m8" }, ["haplan_raft_member"]), observed);
    expect(refusal?.map(({ code, summary }) => [code, summary])).toEqual([
      ["plan/machine-of-voter", "Step 1 (destroy machine m1) would destroy a machine at the address of voter m8"],
    ]);
  });
});
