/** `haplan recover`, killed before each of its acts and run again: whole command lines, against a world in memory. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { snapshotOfKeys } from "../../src/backup/snapshot.fixture.ts";
import { type CliFixture, createCliFixture } from "../../test/support/command-line.ts";

/** A cluster of three that has lost the machines of two. */
async function prepare(fixture: CliFixture): Promise<void> {
  expect((await fixture.haplan("apply three.yaml -auto-approve")).code).toBe(0);
  fixture.world.destroying = true;
  fixture.world.snapshotBytes = snapshotOfKeys(40);
  for (const name of ["m2", "m3"]) fixture.world.facts.machines.delete(name);
}

it("a recovery that was killed at any moment is completed by the same command, and no other change is made before", async () => {
  let at = 1;
  while (await killedAt(at)) at += 1;
  expect(at).toBeGreaterThan(10);
}, 120_000);

/** False if it was over before. */
async function killedAt(at: number): Promise<boolean> {
  const fixture = createCliFixture();
  try {
    await prepare(fixture);
    const { world } = fixture;
    world.killAt = world.acts + at;
    const first = await fixture.haplan("recover three.yaml -auto-approve").catch(() => null);
    if (first?.code === 0) return false;
    world.killAt = Number.POSITIVE_INFINITY;
    if (world.facts.journal.length > 0) {
      const other = await fixture.haplan("apply three.yaml -auto-approve");
      expect({ at, code: other.code, err: other.err }).toMatchObject({
        at,
        code: 1,
        err: expect.stringContaining("haplan recover"),
      });
    }
    const again = await fixture.haplan("recover three.yaml -auto-approve");
    expect({ at, code: again.code, err: again.err }).toMatchObject({ at, code: 0 });
    expect({ at, left: existsSync(join(fixture.cwd, ".haplan/demo/restore")) }).toEqual({ at, left: false });
    expect({ at, exported: [...new Set(world.exported)] }).toEqual({ at, exported: ["m1"] });
    expect({ at, violations: world.violations }).toEqual({ at, violations: [] });
    expect({ at, code: (await fixture.haplan("plan three.yaml -detailed-exitcode")).code }).toEqual({ at, code: 0 });
    return true;
  } finally {
    fixture.remove();
  }
}
