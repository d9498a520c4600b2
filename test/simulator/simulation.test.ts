/**
 * A short version of `npm run sim`: the same seed is the same run, a few seeds find nothing, and quickly detectable
 * mutants are detected; with HAPLAN_TEST_EVERYTHING all mutants. They are listed in docs/simulator.md.
 */
import { describe, expect, it } from "vitest";
import { mutantSeedsMax, mutants } from "./mutants.ts";
import type { Profile } from "./profile.ts";
import { runTask } from "./seed-worker.ts";
import { runSeed } from "./simulation.ts";
import { addStatistics, emptyStatistics, type Statistics } from "./statistics.ts";

const everything = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;
/** Of the mutants that are not quick to find, the first is played, the one `stride` further and so on. */
const stride = Number(process.env["HAPLAN_MUTANT_STRIDE"] ?? 1);

const quickToFind = [
  "stale-term-accepted",
  "two-votes-in-one-term",
  "vote-without-up-to-date-check",
  "conflict-not-truncated",
  "learner-counted",
  "read-without-round",
  "driver-acknowledges-before-fsync",
  "hard-state-written-only-with-entries",
  "log-compacted-before-store-flushed",
  "store-forgets-its-index",
  "read-answered-before-applied",
  "watch-event-lost",
  "watch-revision-split",
  "watch-progress-ahead",
  "lease-promised-before-cleared",
  "leases-counted-on-wall-clock",
  "new-kind-proposed-before-agreement",
  "version-agreed-on-without-all-members",
  "voters-added-one-by-one",
];

/**
 * Runs without any expected violation; returns their combined statistics. Any change of the code changes the course of
 * some run.
 */
async function runClean(seeds: readonly number[], bias: Partial<Profile>): Promise<Statistics> {
  const sum = emptyStatistics();
  for (const seed of seeds) {
    const { violation, statistics } = await runSeed({ seed, bias });
    expect(violation?.text ?? null, `seed ${seed}`).toBeNull();
    addStatistics(sum, statistics);
  }
  return sum;
}

describe("simulation", () => {
  it("is the same run, bit for bit, for the same seed, and another run for another", async () => {
    const bias = { durationMs: 8_000, watchers: 1, leaseHolders: 2 };
    const [first, again, other] = [
      await runSeed({ seed: 13, bias }),
      await runSeed({ seed: 13, bias }),
      await runSeed({ seed: 15, bias }),
    ];
    expect(again.digest).toBe(first.digest);
    expect(again.statistics).toEqual(first.statistics);
    expect(other.digest).not.toBe(first.digest);
  });

  it.each([11, 12, 13, 15])("finds no violation with seed %i", async (seed) => {
    const { violation, statistics } = await runSeed({ seed });
    expect(violation?.text ?? null).toBeNull();
    expect(statistics.acknowledgedWrites).toBeGreaterThan(0);
    expect(statistics.elections).toBeGreaterThan(0);
  });

  it("R20: stops a member whose disk was restored from an older copy, and finds no other violation", async () => {
    const sum = await runClean([1, 2, 3], { ...mutants["lost-entries-ignored"]!.bias, durationMs: 5_000 });
    expect(sum.lostMembers).toBeGreaterThan(0);
  });

  it("A4, A16: watchers and lease holders get what they are promised", async () => {
    const bias = { watchers: 2, leaseHolders: 4, durationMs: 8_000, faultEveryMs: 150 };
    const sum = await runClean([16, 17, 19, 23, 24], bias);
    expect(sum.watchEvents).toBeGreaterThan(100);
    expect(sum.leasesRenewed).toBeGreaterThan(0);
    expect(sum.snapshotsInstalled).toBeGreaterThan(0);
    expect(sum.keyCompactions).toBeGreaterThan(0);
  });

  it("mixes two releases, upgraded and downgraded, and finds nothing wrong", async () => {
    const sum = await runClean([1, 2, 3], { mixesReleases: true, members: 3, durationMs: 8_000, faultEveryMs: 500 });
    expect(sum.upgrades).toBeGreaterThan(0);
    expect(sum.downgrades).toBeGreaterThan(0);
    expect(sum.versionsRaised).toBeGreaterThan(0);
  });

  const slowToFind = Object.keys(mutants).filter((mutant) => !quickToFind.includes(mutant));

  it.each([...quickToFind, ...(everything ? slowToFind.filter((_, at) => at % stride === 0) : [])])(
    "detects the mutant %s",
    async (mutant) => {
      const seedsMax = everything ? mutantSeedsMax : 8;
      let found: string | null = null;
      for (let seed = 1; seed <= seedsMax && found === null; seed++) {
        found = (await runTask({ seed, mutant })).violation?.property ?? null;
      }
      expect(found).not.toBeNull();
    },
    everything ? 300_000 : 20_000,
  );
});
