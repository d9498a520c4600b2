/**
 * Small clusters under random schedules, checked against the properties of figure 3 of the paper. It also proves that
 * the checks work: with a broken rule the same schedules must fail. Flaws that need rarer coincidences than a few
 * hundred short runs produce are left to the simulator.
 */
import { describe, expect, it } from "vitest";
import { type RuleMutant, ruleMutants } from "../../../test/raft-core/mutants.ts";
import { RandomSchedule } from "../../../test/raft-core/random-schedule.ts";
import { SafetyViolation } from "../../../test/raft-core/safety-checker.ts";
import { AssertionError } from "../../base/assert.ts";

const steps = 5000;

function scheduleOf(seed: number, mutant?: RuleMutant): RandomSchedule {
  const rules = mutant === undefined ? {} : { rules: ruleMutants[mutant] };
  return new RandomSchedule({ seed, initialMembers: seed % 2 === 0 ? 5 : 3, joiners: 2, steps, ...rules });
}

function isDetected(mutant: RuleMutant): boolean {
  for (let seed = 1; seed <= 60; seed += 1) {
    try {
      const schedule = scheduleOf(seed, mutant);
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
  it("cluster keeps every safety property and recovers under any schedule", () => {
    let applied = 0;
    for (let seed = 1; seed <= 120; seed += 1) {
      const schedule = scheduleOf(seed);
      schedule.run();
      expect(schedule.recover(), `seed ${seed} applies a new proposal after the faults end`).toBe(true);
      applied += schedule.checker.highestApplied;
    }
    expect(applied).toBeGreaterThan(120 * 20);
  });

  it.each<RuleMutant>([
    "staleTermAccepted",
    "twoVotesInOneTerm",
    "voteWithoutUpToDateCheck",
    "conflictNotTruncated",
    "readBeforeOwnTermCommitted",
  ])("checks find the mutant %s", (mutant) => {
    expect(isDetected(mutant)).toBe(true);
  });
});
