/** A master on a host that does not answer is replaced, the apply is killed, and the spec has the master on its former host again. */
import { describe, expect, it } from "vitest";
import { FakeWorld, Killed } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { PlannerInput } from "../plan/planner-input.ts";
import { specName } from "../plan/resource.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { applyPlan } from "./apply-plan.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);

function withSecondAt(address: string): ClusterSpec {
  const masters = three.controlPlane.masters.map((master) => (master.name === "m2" ? { ...master, address } : master));
  return { ...three, controlPlane: { ...three.controlPlane, masters } };
}
const elsewhere = withSecondAt("127.0.1.22");

async function apply(world: FakeWorld, spec: ClusterSpec, more: Partial<PlannerInput> = {}): Promise<string> {
  return (await applyPlan(await planInWorld(world, spec, more), world.ports())).kind;
}

/** The process dies before the given act, counted from now. Returns whether it got there. */
async function killedAt(world: FakeWorld, act: number, spec: ClusterSpec): Promise<boolean> {
  world.acts = 0;
  world.killAt = act;
  try {
    await apply(world, spec, { replace: ["haplan_machine.m2"] });
    return false;
  } catch (error) {
    if (error instanceof Killed) return true;
    throw error;
  } finally {
    world.killAt = Number.POSITIVE_INFINITY;
  }
}

const machinesOf = ({ facts }: FakeWorld): readonly string[] =>
  [...facts.machines.values()].map(({ identity }) => `${identity.name} ${identity.address}`).toSorted();

/** Machines of m2 that the state does not have: no later plan finds them, on hosts that the spec does not have. */
function unknownMachines({ facts }: FakeWorld): readonly string[] {
  const known = facts.state!.resources.filter(({ type }) => type === "haplan_machine");
  return [...facts.machines.values()]
    .map(({ identity }) => identity)
    .filter(({ name }) => name === "m2")
    .filter(({ generation }) => !known.some((each) => specName(each.name) === "m2" && each.generation === generation))
    .map(({ generation }) => `m2@${generation}`);
}

describe("a replacement of an unreachable master that is given up after the apply was killed", () => {
  it("leaves no machine behind, whenever it was killed", async () => {
    for (let at = 1; ; at += 1) {
      const world = new FakeWorld();
      expect(await apply(world, three)).toBe("applied");
      const before = machinesOf(world);
      const member = world.facts.members.find(({ name }) => name === "m2")!.id;
      world.cutOff.set("m2@1", ["m2"]);
      if (!(await killedAt(world, at, elsewhere))) break;
      const isReplaced = !world.facts.members.some(({ id }) => id === member);
      // The spec has it at its former address, which does not answer yet.
      world.cutOff.set("m2@1", ["m2", "m2@1"]);
      if (!isReplaced) await apply(world, three).catch(() => undefined);
      expect([at, unknownMachines(world)]).toEqual([at, []]);
      world.cutOff.clear();
      expect([at, await apply(world, three)]).toEqual([at, "applied"]);
      expect([at, machinesOf(world)]).toEqual([at, before]);
      const after = await planInWorld(world, three);
      expect([at, after.steps, after.drift]).toEqual([at, [], []]);
      expect([at, world.violations]).toEqual([at, []]);
    }
  });
});
