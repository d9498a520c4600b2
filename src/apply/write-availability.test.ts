import { describe, expect, it } from "vitest";
import type { WriteAvailability } from "./apply-event.ts";
import { type WriteAttempt, writeAvailability } from "./write-availability.ts";

const ok = (startedMs: number, endedMs: number): WriteAttempt => ({ startedMs, endedMs, succeeded: true });
const lost = (startedMs: number, endedMs: number): WriteAttempt => ({ startedMs, endedMs, succeeded: false });

type Case = readonly [string, readonly WriteAttempt[], Partial<WriteAvailability>];
const cases: readonly Case[] = [
  ["nothing failed", [ok(0, 10), ok(50, 60), ok(990, 1000)], { failed: 0, longestGapMs: 940, unavailableMs: 0 }],
  ["a failure between two successes", [ok(0, 10), lost(50, 350), ok(400, 410), ok(900, 1000)], { unavailableMs: 400 }],
  ["R38: no success at all", [lost(0, 500), lost(50, 550)], { failed: 2, longestGapMs: 1000, unavailableMs: 1000 }],
  [
    "T10: failures before the first success",
    [lost(0, 600), ok(600, 700), ok(900, 950)],
    { longestGapMs: 700, unavailableMs: 700 },
  ],
  ["T10: failures after the last success", [ok(0, 100), lost(150, 1000)], { longestGapMs: 900, unavailableMs: 900 }],
  [
    "T10: a late success that began early",
    [ok(0, 10), ok(50, 900), lost(100, 800), ok(900, 910)],
    { longestGapMs: 890, unavailableMs: 890 },
  ],
  ["fractions", [ok(0, 0.4), ok(0.5, 333.333)], { longestGapMs: 667, unavailableMs: 0 }],
];

describe("writeAvailability", () => {
  it.each(cases)("counts gaps from the run's beginning to its end: %s", (_, attempts, expected) => {
    const counted = writeAvailability(attempts, { startedMs: 0, endedMs: 1000 });
    expect(counted).toMatchObject({ attempts: attempts.length, measuredMs: 1000, ...expected });
    expect(Object.values(counted).every(Number.isInteger)).toBe(true);
  });

  it("T10: does not take its own standing still for the cluster's", () => {
    const attempts = [ok(0, 10), ok(50, 460), ok(460, 470), lost(500, 900), ok(950, 960)];
    const stalls = [
      { fromMs: 60, untilMs: 455 },
      { fromMs: 990, untilMs: 1000 },
    ];
    const counted = writeAvailability(attempts, { startedMs: 0, endedMs: 1000 }, stalls);
    expect(counted).toMatchObject({ longestGapMs: 490, unavailableMs: 490 });
    expect(writeAvailability(attempts.slice(0, 3), { startedMs: 0, endedMs: 470 }, stalls).longestGapMs).toBe(55);
  });
});
