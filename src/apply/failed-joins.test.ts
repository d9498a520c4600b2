/** New members that never come up, or never catch up: the voters stay as they were, and the next apply succeeds. */
import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { PlannerInput } from "../plan/planner-input.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { type ApplyOutcome, applyPlan } from "./apply-plan.ts";

type Engine = "agent" | "etcd";
const engines: readonly Engine[] = ["agent", "etcd"];

function specOf(count: number, engine: Engine): ClusterSpec {
  const names = Array.from({ length: count }, (_, index) => `m${index + 1}`);
  const spec = fixtureSpec(names, { engine, workers: 0 });
  return { ...spec, policy: { ...spec.policy, allowEvenSteps: engine === "etcd" } };
}

async function apply(world: FakeWorld, spec: ClusterSpec, more: Partial<PlannerInput> = {}): Promise<ApplyOutcome> {
  return applyPlan(await planInWorld(world, spec, more), world.ports());
}

async function settled(spec: ClusterSpec): Promise<FakeWorld> {
  const world = new FakeWorld();
  world.engine = spec.controlPlane.engine;
  expect((await apply(world, spec)).kind).toBe("applied");
  return world;
}

async function expectWhole(world: FakeWorld, spec: ClusterSpec): Promise<void> {
  const { masters } = spec.controlPlane;
  expect(world.facts.members.map(({ name, learner }) => [name, learner]).sort()).toEqual(
    masters.map(({ name }) => [name, false]),
  );
  expect((await planInWorld(world, spec)).steps).toEqual([]);
  expect(world.violations).toEqual([]);
}

const isInitial = (id: string): boolean => id.startsWith("boot-");
const notReady = { kind: "failed", error: { code: "apply/learner-not-ready" } } as const;

describe("a new member that its peers never reach", () => {
  it.each(
    [
      [1, 3],
      [2, 3],
      [3, 5],
    ].flatMap(([from, to]) => engines.map((engine) => [from!, to!, engine] as const)),
  )(
    "leaves the voters as they were on the way from %i to %i (%s), and joins once it is reached",
    async (from, to, engine) => {
      const world = await settled(specOf(from, engine));
      const before = structuredClone(world.facts.members);
      world.lagOf = (id) => (isInitial(id) ? 0 : null);
      expect(await apply(world, specOf(to, engine))).toMatchObject(notReady);
      expect(world.facts.members).toEqual(before);
      expect(world.hasQuorum()).toBe(true);

      world.lagOf = () => 0;
      expect((await apply(world, specOf(to, engine))).kind).toBe("applied");
      await expectWhole(world, specOf(to, engine));
    },
  );
});

describe("a replacement that does not catch up", () => {
  const m2 = "haplan_raft_member.m2";
  const m3 = "haplan_raft_member.m3";

  it.each(engines)(
    "keeps all other members from being replaced, and is repeated by the next apply (%s)",
    async (engine) => {
      const spec = specOf(3, engine);
      const world = await settled(spec);
      world.lagOf = (id) => (isInitial(id) ? 0 : 5_000);
      expect(await apply(world, spec, { replace: [m2, m3] })).toMatchObject(notReady);
      const serving = world.voters().filter(({ id }) => world.isUp(id));
      expect(serving.map(({ id }) => id)).toEqual(["boot-m1", "boot-m3"]);
      expect(world.hasQuorum()).toBe(true);

      world.lagOf = () => 0;
      expect(await apply(world, spec)).toMatchObject({ kind: "applied" });
      expect(world.voters().map(({ id }) => id)).toContain("boot-m3");
      await expectWhole(world, spec);
    },
  );

  it.each(engines)("is repeated where the member has lost its data (%s)", async (engine) => {
    const spec = specOf(3, engine);
    const world = await settled(spec);
    const machine = world.facts.machines.get("m2")!;
    for (const unit of machine.units.values()) unit.running = false;
    machine.data = null;
    world.lagOf = (id) => (isInitial(id) ? 0 : 5_000);
    expect(await apply(world, spec)).toMatchObject(notReady);
    world.lagOf = () => 0;
    expect(await apply(world, spec)).toMatchObject({ kind: "applied" });
    await expectWhole(world, spec);
  });
});

describe("a new member", () => {
  it.each(engines)(
    "is told of members that were added, and of none that the spec lists for later (%s)",
    async (engine) => {
      const world = await settled(specOf(3, engine));
      expect((await apply(world, specOf(5, engine))).kind).toBe("applied");
      const told = ["m4", "m5"].map((name) => {
        const flags = world.facts.machines.get(name)?.units.get("agent")?.definition.arguments ?? [];
        const [, cluster = ""] = flags.find((flag) => flag.startsWith("--initial-cluster="))?.split(/=(.*)/) ?? [];
        return cluster.split(",").map((entry) => entry.split("=")[0]);
      });
      expect(told).toEqual([
        ["m1", "m2", "m3", "m4"],
        ["m1", "m2", "m3", "m4", "m5"],
      ]);
    },
  );
});
