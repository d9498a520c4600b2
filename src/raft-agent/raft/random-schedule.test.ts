/**
 * Small clusters under random schedules, checked against the properties of the paper's figure 3. And the proof that
 * the checks bite: with a broken rule the same schedules must fail. Flaws that need rarer coincidences than a few
 * hundred short runs produce are the simulator's.
 */
import { describe, expect, it } from "vitest";
import { type PlantedFlaw, plantedFlaws } from "../../../test/raft-core/planted-flaws.ts";
import { RandomSchedule } from "../../../test/raft-core/random-schedule.ts";
import { SafetyViolation } from "../../../test/raft-core/safety-checker.ts";
import { AssertionError } from "../../base/assert.ts";

const steps = 5000;

function scheduleOf(seed: number, flaw?: PlantedFlaw): RandomSchedule {
  const rules = flaw === undefined ? {} : { rules: plantedFlaws[flaw] };
  return new RandomSchedule({ seed, founders: seed % 2 === 0 ? 5 : 3, joiners: 2, steps, ...rules });
}

function findsFlaw(flaw: PlantedFlaw): boolean {
  for (let seed = 1; seed <= 60; seed += 1) {
    try {
      const schedule = scheduleOf(seed, flaw);
      schedule.run();
      schedule.recover();
    } catch (error) {
      if (error instanceof SafetyViolation || error instanceof AssertionError) return true;
      throw error;
    }
  }
  return false;
}

describe("random schedule", () => {
  it("cluster keeps every safety property and recovers, whatever happens", () => {
    let applied = 0;
    for (let seed = 1; seed <= 120; seed += 1) {
      const schedule = scheduleOf(seed);
      schedule.run();
      expect(schedule.recover(), `seed ${seed} applies a new proposal after the faults end`).toBe(true);
      applied += schedule.checker.highestApplied;
    }
    expect(applied).toBeGreaterThan(120 * 20);
  });

  it.each<PlantedFlaw>([
    "staleTermAccepted",
    "twoVotesInOneTerm",
    "voteWithoutUpToDateCheck",
    "conflictNotTruncated",
    "readBeforeOwnTermCommitted",
  ])("checks find the planted flaw %s", (flaw) => {
    expect(findsFlaw(flaw)).toBe(true);
  });
});
