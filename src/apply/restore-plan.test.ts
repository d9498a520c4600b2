/** A restore in a world in memory, that dies before every single act: calls, journal records and writes of the state. */
import { expect, it } from "vitest";
import { FakeWorld, Killed } from "../../test/support/fake-world.ts";
import { planInWorld } from "../../test/support/plan-in-world.ts";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import type { Plan } from "../plan/plan.ts";
import type { RestoreRequest } from "../plan/restore-request.ts";
import { type ApplyOutcome, applyPlan } from "./apply-plan.ts";

const spec = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
const restore: RestoreRequest = {
  backup: "demo.db",
  snapshot: "/restore/demo.db",
  snapshotSha256: "ab",
  snapshotBytes: 4096,
  revision: 10,
  storageVersion: null,
  cluster: "demo",
  createdAtMs: 0,
};

async function prepared(): Promise<{ readonly world: FakeWorld; readonly plan: Plan }> {
  const world = new FakeWorld();
  expect(await applyPlan(await planInWorld(world, spec), world.ports())).toMatchObject({ kind: "applied" });
  world.destroying = true;
  return { world, plan: await planInWorld(world, spec, { restore }) };
}

/** Null if it dies. */
const attempt = (world: FakeWorld, plan: Plan): Promise<ApplyOutcome | null> =>
  applyPlan(plan, world.ports()).catch((error: unknown) => {
    if (error instanceof Killed) return null;
    throw error;
  });

it("is completed by the same plan, with one set of members and nothing left to do", async () => {
  for (let killAt = 1; ; killAt++) {
    const { world, plan } = await prepared();
    world.acts = 0;
    world.killAt = killAt;
    const first = await attempt(world, plan);
    const isOver = first?.kind === "applied" && world.acts < killAt;
    world.killAt = Number.POSITIVE_INFINITY;
    // A plan that has begun, and is not complete, is what the command keeps.
    if (world.facts.journal.length > 0) {
      expect(await attempt(world, plan), `killed before act ${killAt}`).toMatchObject({ kind: "applied" });
    }
    if (isOver || world.facts.members.every(({ id }) => !id.startsWith("boot-"))) {
      const { token } = plan.restore!;
      expect(world.facts.members.map(({ id }) => id).sort()).toEqual(
        ["m1", "m2", "m3"].map((name) => `${token}-${name}`),
      );
      expect((await planInWorld(world, spec)).steps, `killed before act ${killAt}`).toEqual([]);
    }
    expect(world.violations, `killed before act ${killAt}`).toEqual([]);
    if (isOver) break;
    expect(killAt).toBeLessThan(200);
  }
});
