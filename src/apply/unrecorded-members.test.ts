/** A state that is behind a cluster whose members answer: as an apply leaves that was killed before it had recorded its first start. */
import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import { applyPlan } from "./apply-plan.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);
const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } };

/** A cluster that was applied, and whose state lacks what is of these types. */
async function without(...types: readonly string[]): Promise<FakeWorld> {
  const world = new FakeWorld();
  expect(await applyPlan(await planInWorld(world, three), world.ports())).toMatchObject({ kind: "applied" });
  const { state } = world.facts;
  world.facts.state = { ...state!, resources: state!.resources.filter(({ type }) => !types.includes(type)) };
  return world;
}

const settingsOf = ({ facts }: FakeWorld): readonly (string | undefined)[] =>
  ["m1", "m2", "m3"].map((name) =>
    facts.machines
      .get(name)!
      .units.get("agent")!
      .definition.arguments.find((word) => word.startsWith("--election-timeout")),
  );

describe("members that the state does not have", () => {
  it.each([[["haplan_raft_member"]], [["haplan_raft_member", "haplan_agent"]]])(
    "keep the quorum when their settings change: %s",
    async (types) => {
      const world = await without(...types);
      const plan = await planInWorld(world, slower);
      expect(plan.timeline[0]).toMatchObject({ voters: 3, healthyVoters: 3 });
      expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
      expect(world.violations).toEqual([]);
      expect((await planInWorld(world, slower)).steps).toEqual([]);
    },
  );
});

it("members without a state get other settings one after the other, and none is restarted without", async () => {
  const world = await without();
  world.facts.state = null;
  const kept = await planInWorld(world, three);
  expect(kept.steps.filter(({ action }) => action.kind === "updateAgent")).toEqual([]);
  expect(await applyPlan(await planInWorld(world, slower), world.ports())).toMatchObject({ kind: "applied" });
  expect(settingsOf(world)).toEqual(Array(3).fill("--election-timeout=2000"));
  expect(world.violations).toEqual([]);
  expect((await planInWorld(world, slower)).steps).toEqual([]);
});

describe("members that the state does not have, one of which is down", () => {
  it.each(["m1", "m3"])("keep the quorum when their settings change: %s", async (down) => {
    const world = await without("haplan_raft_member", "haplan_agent");
    world.facts.machines.get(down)!.units.get("agent")!.running = false;
    const plan = await planInWorld(world, slower);
    expect(plan.timeline[0]).toMatchObject({ voters: 3, healthyVoters: 2 });
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.violations).toEqual([]);
    expect(settingsOf(world)).toEqual(Array(3).fill("--election-timeout=2000"));
    expect((await planInWorld(world, slower)).steps).toEqual([]);
  });
});

describe("a first start that was interrupted, and a spec with other settings", () => {
  /** A first apply in which these do not start. */
  async function begun(...missing: readonly string[]): Promise<FakeWorld> {
    const world = new FakeWorld();
    world.failing = (act) => (missing.some((name) => act === `startUnit ${name}`) ? "it does not start" : null);
    expect(await applyPlan(await planInWorld(world, three), world.ports())).toMatchObject({ kind: "failed" });
    world.failing = () => null;
    world.acted.length = 0;
    return world;
  }

  it("is refused where its members have a quorum: clients may write", async () => {
    const world = await begun("m3");
    expect(world.hasQuorum()).toBe(true);
    await expect(planInWorld(world, slower)).rejects.toThrow("first start is incomplete, with other settings");
    expect(await applyPlan(await planInWorld(world, three), world.ports())).toMatchObject({ kind: "applied" });
    expect(await applyPlan(await planInWorld(world, slower), world.ports())).toMatchObject({ kind: "applied" });
    expect(world.violations).toEqual([]);
  });

  it("starts its members with them where there is no quorum yet", async () => {
    const world = await begun("m2", "m3");
    expect(await applyPlan(await planInWorld(world, slower), world.ports())).toMatchObject({ kind: "applied" });
    expect(world.acted).toEqual(expect.arrayContaining(["startUnit m1", "startUnit m2", "startUnit m3"]));
    expect((await planInWorld(world, slower)).steps).toEqual([]);
  });

  it("leaves alone a member that has a quorum by the time of its step", async () => {
    const world = await begun("m2", "m3");
    const saved = await planInWorld(world, slower);
    expect(await applyPlan(await planInWorld(world, three), world.ports())).toMatchObject({ kind: "applied" });
    world.acted.length = 0;
    world.facts.state = { ...world.facts.state!, serial: saved.binding.stateSerial };
    expect(await applyPlan(saved, world.ports())).toMatchObject({
      kind: "failed",
      error: { code: "apply/answers-again" },
    });
    expect(world.acted.filter((act) => act.includes("stop"))).toEqual([]);
    expect(world.violations).toEqual([]);
  });
});
