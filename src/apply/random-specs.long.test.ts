// Random specs one after the other, each applied until it holds: masters that move, swap, come, go and are renamed, other
// ports, a load balancer that moves, a minority that is harmed before, and an apply that is killed, sometimes to go on with
// yet another spec. The fake world looks for a lost quorum, an endpoint without a target and two members at one place.
import { expect, it } from "vitest";
import { FakeWorld } from "../../test/support/fake-world.ts";
import { fixtureNowMs, fixtureSpec } from "../../test/support/planned-cluster.ts";
import { createRandom, type Random } from "../base/random.ts";
import { type PlanResult, planChanges } from "../plan/planner.ts";
import type { ClusterSpec, MasterSpec, MovedMaster } from "../spec/cluster-spec.ts";
import { applyPlan } from "./apply-plan.ts";
import { observeCluster } from "./observe-cluster.ts";

const firstSeed = Number(process.env["HAPLAN_SPEC_SEED"] ?? 1);
const seeds = Number(process.env["HAPLAN_SPEC_SEEDS"] ?? 400);
/** What may be refused, with the way in which it can be done. */
const refusable = new Set(["plan/address-occupied", "plan/quorum-at-risk", "plan/no-quorum", "plan/role-changed"]);

async function planFor(world: FakeWorld, spec: ClusterSpec): Promise<PlanResult> {
  const { state } = world.facts;
  const observed = await observeCluster(world.ports(), { spec, state });
  const bound = { specDigest: "d", mode: "apply", haplanVersion: "0.1.0", nowMs: fixtureNowMs } as const;
  return planChanges({ spec, state, observed, provider: world.model, ...bound });
}

/** One that no master has, of twelve. */
function unused(
  random: Random,
  masters: readonly MasterSpec[],
  of: (master: MasterSpec) => string,
  head: string,
): string {
  for (;;) {
    const drawn = `${head}${1 + random.below(12)}`;
    if (masters.every((master) => of(master) !== drawn)) return drawn;
  }
}

function randomSpec(random: Random, { controlPlane, ...spec }: ClusterSpec): ClusterSpec {
  const masters = controlPlane.masters.map((master) => ({ ...master }));
  const moved: MovedMaster[] = [];
  const name = (): string => unused(random, masters, (master) => master.name, "m");
  const address = (): string => unused(random, masters, (master) => master.address, "127.0.1.");
  for (let edits = random.below(4); edits > 0; edits -= 1) {
    const index = random.below(masters.length);
    const master = masters[index]!;
    const edit = random.below(4);
    if (edit === 0) {
      const from = master.name;
      master.name = name();
      if (random.below(2) === 0) moved.push({ from, to: master.name });
    } else if (edit === 1) master.address = address();
    else if (edit === 2) masters[index] = { name: name(), address: address(), zone: null };
    else {
      const other = masters[random.below(masters.length)]!;
      [master.address, other.address] = [other.address, master.address];
    }
  }
  const members = random.below(2) === 0 ? masters.length : 3 + 2 * random.below(2);
  while (masters.length > members) masters.splice(random.below(masters.length), 1);
  while (masters.length < members) masters.push({ name: name(), address: address(), zone: null });
  const names = new Set(masters.map((master) => master.name));
  const told = moved.filter(({ from, to }) => !names.has(from) && names.has(to));
  const port = (present: number, other: number): number => (random.below(7) === 0 ? other : present);
  const balancer = random.below(10) === 0 ? `127.0.1.${100 + random.below(3)}` : spec.loadBalancer.address;
  return {
    ...spec,
    loadBalancer: { ...spec.loadBalancer, address: balancer },
    controlPlane: {
      ...controlPlane,
      members: masters.length as 3,
      masters,
      moved: told,
      clientPort: port(controlPlane.clientPort, 2479),
      peerPort: port(controlPlane.peerPort, 2480),
    },
  };
}

/** Stops or wipes fewer than half, or takes their machines away. */
function harm(random: Random, world: FakeWorld): void {
  const machines = [...world.facts.machines].filter(([, machine]) => machine.data !== null);
  for (const [key, machine] of machines.slice(0, random.below(Math.ceil(machines.length / 2)))) {
    for (const unit of machine.units.values()) unit.running = false;
    const kind = random.below(3);
    if (kind === 1) machine.data = null;
    if (kind === 2) world.facts.machines.delete(key);
  }
  world.facts.leader = world.voters().find(({ id }) => world.isUp(id))?.id ?? null;
}

/** Null when it was refused, as it may be. */
async function applyUntilItHolds(random: Random, world: FakeWorld, spec: ClusterSpec): Promise<ClusterSpec | null> {
  for (let tries = 0; tries < 4; tries += 1) {
    world.acts = 0;
    world.killAt = random.below(2) === 0 ? 1 + random.below(120) : Number.POSITIVE_INFINITY;
    const { plan, refusal } = await planFor(world, spec);
    if (refusal !== undefined) {
      expect(refusal.map(({ code }) => code).filter((code) => !refusable.has(code))).toEqual([]);
      return null;
    }
    const outcome = await applyPlan(plan, world.ports()).catch(() => null);
    world.killAt = Number.POSITIVE_INFINITY;
    if (outcome?.kind === "applied") return spec;
    // One that was removed from under a wait that was cut off is joined anew by the next apply.
    if (outcome !== null && tries > 1) expect(outcome).toMatchObject({ kind: "applied" });
  }
  const { plan } = await planFor(world, spec);
  expect((await applyPlan(plan!, world.ports())).kind).toBe("applied");
  return spec;
}

async function expectHeld(world: FakeWorld, spec: ClusterSpec): Promise<void> {
  const names = spec.controlPlane.masters.map(({ name }) => name).sort();
  const { machines, members, state } = world.facts;
  expect(members.map(({ name, learner }) => `${name}${learner ? " learns" : ""}`).sort()).toEqual(names);
  const hosts = [...names, "load-balancer", ...spec.workers.map(({ name }) => name)].sort();
  expect([...machines.values()].map(({ identity }) => identity.name).sort()).toEqual(hosts);
  expect(state?.resources.filter(({ address }) => address.includes("@"))).toEqual([]);
  expect(world.servingTargets()).toBe(names.length);
  expect((await planFor(world, spec)).plan?.steps).toEqual([]);
}

it("T2, T3, T12: random specs, each applied whatever came between, end as asked and cost no quorum and no endpoint", async () => {
  let held = 0;
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const random = createRandom(seed);
    const world = new FakeWorld();
    let spec = randomSpec(random, fixtureSpec(["m1", "m2", "m3"], { workers: 1 }));
    const about = (): string =>
      `seed ${seed}, ${spec.controlPlane.masters.map(({ name, address }) => `${name}@${address}`).join(" ")}`;
    try {
      if ((await applyUntilItHolds(random, world, spec)) === null) continue;
      for (let turns = 0; turns < 3; turns += 1) {
        if (random.below(3) === 0) harm(random, world);
        const next = await applyUntilItHolds(random, world, randomSpec(random, spec));
        spec = next ?? spec;
        // What was refused half-way leaves the former spec to be applied, if that can be.
        if (next === null && (await applyUntilItHolds(random, world, spec)) === null) break;
        await expectHeld(world, spec);
        expect(world.violations).toEqual([]);
        held += 1;
      }
    } catch (error) {
      throw new Error(about(), { cause: error });
    }
  }
  expect(held).toBeGreaterThan(seeds);
}, 900_000);
