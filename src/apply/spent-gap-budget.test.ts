/** A cluster in memory whose budget for write gaps is spent in the middle of an apply. */
import { describe, expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { type ApplyOptions, type ApplyOutcome, applyPlan } from "./apply-plan.ts";

const fixture = fixtureSpec(["m1", "m2", "m3"]);
const three: ClusterSpec = { ...fixture, policy: { ...fixture.policy, upgradeWatchMs: 1_000, joinTimeoutMs: 20_000 } };
const five = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
const budget: ApplyOptions = { maxWriteGapMs: 2_000 };

const apply = async (world: FakeWorld, spec: ClusterSpec, options: ApplyOptions = {}): Promise<ApplyOutcome> =>
  applyPlan(await planInWorld(world, spec, { artifact: world.artifact }), world.ports(), options);

/** As `apply`; a client waits for too long from the moment on at which this act is done. */
async function applyUntil(world: FakeWorld, spec: ClusterSpec, act: string): Promise<ApplyOutcome> {
  const ports = world.ports();
  let tell: (gapMs: number) => void = () => undefined;
  world.beforeAct = (done) => {
    if (done === act) tell(2_500);
  };
  const plan = await planInWorld(world, spec, { artifact: world.artifact });
  const outcome = await applyPlan(
    plan,
    {
      ...ports,
      probeWrites: (request, onLongGap = () => undefined) => {
        tell = onLongGap;
        return ports.probeWrites(request);
      },
    },
    budget,
  );
  world.beforeAct = () => undefined;
  return outcome;
}

async function settled(): Promise<FakeWorld> {
  const world = new FakeWorld();
  world.artifact = "0.3.0";
  expect((await apply(world, three)).kind).toBe("applied");
  world.events.length = 0;
  return world;
}

const agents = ({ facts }: FakeWorld): readonly (string | null | undefined)[] =>
  ["m1", "m2", "m3"].map((name) => facts.machines.get(name)?.units.get("agent")?.artifact);

describe("an apply whose budget for write gaps is spent", () => {
  it("is as any other while no client waits for long", async () => {
    const world = await settled();
    world.artifact = "0.4.0";
    expect((await apply(world, three, budget)).kind).toBe("applied");
    expect(world.events.some(({ kind }) => kind === "writeGapSpent")).toBe(false);
  });

  it("undoes the upgrade under way, begins no other step, and can be resumed", async () => {
    const world = await settled();
    world.artifact = "0.4.0";
    const upgraded = "journal intent upgradeAgent:m2";
    const outcome = await applyUntil(world, three, upgraded);
    expect(outcome).toMatchObject({
      kind: "gapSpent",
      spent: { budgetMs: 2_000, gapMs: 2_500 },
      failure: { step: { action: { kind: "upgradeAgent", member: "m2" } }, error: { code: "apply/upgrade-undone" } },
    });
    expect(agents(world)[1]).toBe("0.3.0");
    const told = world.events.find((event) => event.kind === "writeGapSpent");
    expect(told).toMatchObject({ gapMs: 2_500, running: [{ action: { member: "m2" } }] });
    expect(world.events.findLast(({ kind }) => kind === "stepStarted")).toMatchObject({
      step: { action: { member: "m2" } },
    });
    expect((await apply(world, three)).kind).toBe("applied");
    expect(agents(world)).toEqual(["0.4.0", "0.4.0", "0.4.0"]);
    expect(world.violations).toEqual([]);
  });

  it("removes the learner that copies, and leaves the voters as they were", async () => {
    const world = await settled();
    world.lagOf = () => 1_000_000;
    const outcome = await applyUntil(world, five, "journal intent awaitCatchUp:m4");
    expect(outcome).toMatchObject({ kind: "gapSpent", failure: { step: { action: { kind: "awaitCatchUp" } } } });
    const voters = world.facts.members.filter(({ learner }) => !learner).map(({ name }) => name);
    expect(voters.sort()).toEqual(["m1", "m2", "m3"]);
    expect(world.facts.members.some(({ name }) => name === "m4")).toBe(false);
    world.lagOf = () => 0;
    expect((await apply(world, five)).kind).toBe("applied");
    expect(world.violations).toEqual([]);
  });

  it("does not begin where write gaps cannot be measured", async () => {
    const world = await settled();
    const ports = { ...world.ports(), probeWrites: () => Promise.reject(new Error("no thread")) };
    await expect(applyPlan(await planInWorld(world, five), ports, budget)).rejects.toThrow("cannot be measured");
    expect(world.events.some(({ kind }) => kind === "stepStarted")).toBe(false);
  });
});
