/** Members that did not answer when the plan was made: any of them may answer again at any time, and be one that the quorum needs. */
import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { Plan } from "../plan/plan.ts";
import { type ApplyOutcome, applyPlan } from "./apply-plan.ts";

const three = fixtureSpec(["m1", "m2", "m3"]);

/** A cluster that was applied; then these hang. */
async function hung(...names: readonly string[]): Promise<FakeWorld> {
  const world = new FakeWorld();
  expect(await applyPlan(await planInWorld(world, three), world.ports())).toMatchObject({ kind: "applied" });
  for (const name of names) world.hung.add(name);
  world.acted.length = 0;
  return world;
}

function restartsIn({ steps }: Plan): readonly string[] {
  return steps.flatMap(({ action, after }) =>
    action.kind === "restartAgent" ? [`${action.member} <- ${after.join()}`] : [],
  );
}

const stopsIn = (world: FakeWorld): readonly string[] => world.acted.filter((act) => act.startsWith("stopUnit"));

describe("members whose processes hang", () => {
  it.each<[string, readonly string[]]>([
    ["m2", ["m2 <- "]],
    ["m1 m3", ["m1 <- ", "m3 <- restartAgent:m1"]],
    ["m1 m2 m3", ["m1 <- ", "m2 <- restartAgent:m1", "m3 <- restartAgent:m1,restartAgent:m2"]],
  ])("are restarted one after the other: %s", async (names, restarts) => {
    const world = await hung(...names.split(" "));
    const plan = await planInWorld(world, three);
    expect(restartsIn(plan)).toEqual(restarts);
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(stopsIn(world)).toEqual(names.split(" ").map((name) => `stopUnit ${name}`));
    expect(world.hasQuorum()).toBe(true);
    expect(world.violations).toEqual([]);
  });

  it("are restarted after those without a process, which are started at once", async () => {
    const world = await hung("m1");
    for (const name of ["m2", "m3"])
      for (const unit of world.facts.machines.get(name)!.units.values()) unit.running = false;
    const plan = await planInWorld(world, three);
    expect(restartsIn(plan)).toEqual(["m2 <- ", "m3 <- ", "m1 <- restartAgent:m2,restartAgent:m3"]);
  });

  it.each([["m1"], ["m2"], ["m1 m2"], ["m1 m2 m3"]])("are left alone if they answer by then: %s", async (back) => {
    const world = await hung("m1", "m2", "m3");
    const plan = await planInWorld(world, three);
    for (const name of back.split(" ")) world.hung.delete(name);
    const before = world.facts.state?.resources.filter(({ type }) => type === "haplan_agent");
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    const others = ["m1", "m2", "m3"].filter((name) => !back.split(" ").includes(name));
    expect(stopsIn(world)).toEqual(others.map((name) => `stopUnit ${name}`));
    const said = world.events.flatMap((event) => (event.kind === "stepWarning" ? [event.message] : []));
    expect(said).toEqual(back.split(" ").map((name) => `${name} answers again: its process was left alone`));
    for (const name of back.split(" ")) {
      const agent = (all = world.facts.state?.resources): object | undefined =>
        all?.find(({ address }) => address === `haplan_agent.${name}`);
      expect(agent()).toEqual(agent(before));
    }
    expect(world.violations).toEqual([]);
  });

  it("are left alone if others answer only once the first one was restarted", async () => {
    const world = await hung("m1", "m2", "m3");
    const plan = await planInWorld(world, three);
    world.beforeAct = (act) => {
      if (act === "stopUnit m1") for (const name of ["m2", "m3"]) world.hung.delete(name);
    };
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(stopsIn(world)).toEqual(["stopUnit m1"]);
  });

  it("do not stop the apply if they hang again after their restart", async () => {
    const world = await hung("m1", "m2", "m3");
    world.keepsHanging.add("m1");
    const outcome: ApplyOutcome = await applyPlan(await planInWorld(world, three), world.ports());
    expect(stopsIn(world)).toEqual(["stopUnit m1", "stopUnit m2", "stopUnit m3"]);
    expect(world.hasQuorum()).toBe(true);
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "apply/not-healthy" } });
  });

  it("are not left with their former settings as if the change was made", async () => {
    const world = await hung("m2");
    const slower = { ...three, controlPlane: { ...three.controlPlane, electionTimeoutMs: 2_000 } };
    const plan = await planInWorld(world, slower);
    world.hung.clear();
    expect(await applyPlan(plan, world.ports())).toMatchObject({
      kind: "failed",
      error: { code: "apply/answers-again" },
    });
    expect(stopsIn(world)).toEqual([]);
    expect(await applyPlan(await planInWorld(world, slower), world.ports())).toMatchObject({ kind: "applied" });
  });
});

describe("members whose processes were gone", () => {
  const agentOf = (world: FakeWorld, name: string) => world.facts.machines.get(name)!.units.get("agent")!;

  async function stopped(...names: readonly string[]): Promise<FakeWorld> {
    const world = await hung();
    for (const name of names) agentOf(world, name).running = false;
    return world;
  }

  it.each(["m2", "m2 m3", "m1 m2 m3"])("are left alone if they are back by their steps: %s", async (names) => {
    const world = await stopped(...names.split(" "));
    const plan = await planInWorld(world, three);
    for (const name of names.split(" ")) agentOf(world, name).running = true;
    expect(await applyPlan(plan, world.ports())).toMatchObject({ kind: "applied" });
    expect(world.acted.filter((act) => /^(stop|start)Unit/.test(act))).toEqual([]);
    expect((await planInWorld(world, three)).steps).toEqual([]);
  });

  it.each(["m2", "m2 m3"])("keep the quorum if they are back by their upgrades: %s", async (names) => {
    const older = "0.3.0 (build 1a2b3c4d5e6f)";
    const world = new FakeWorld();
    world.artifact = older;
    const planned = (): Promise<Plan> => planInWorld(world, three, { artifact: world.artifact });
    expect(await applyPlan(await planned(), world.ports())).toMatchObject({ kind: "applied" });
    world.artifact = "0.4.0 (build a1b2c3d4e5f6)";
    for (const name of names.split(" ")) agentOf(world, name).running = false;
    const plan = await planned();
    for (const name of names.split(" ")) agentOf(world, name).running = true;
    const outcome = await applyPlan(plan, world.ports());
    expect(world.violations).toEqual([]);
    expect(outcome).toMatchObject({ kind: "applied" });
  });

  it("are upgraded where there is no quorum without them", async () => {
    const world = new FakeWorld();
    world.artifact = "0.3.0 (build 1a2b3c4d5e6f)";
    const planned = (): Promise<Plan> => planInWorld(world, three, { artifact: world.artifact });
    expect(await applyPlan(await planned(), world.ports())).toMatchObject({ kind: "applied" });
    world.artifact = "0.4.0 (build a1b2c3d4e5f6)";
    for (const name of ["m2", "m3"]) agentOf(world, name).running = false;
    expect(await applyPlan(await planned(), world.ports())).toMatchObject({ kind: "applied" });
  });
});
