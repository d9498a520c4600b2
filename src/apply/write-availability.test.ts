import { describe, expect, it } from "vitest";
import type { WriteAvailability } from "./apply-event.ts";
import { outcomeOf, type WriteAttempt, writeAvailability } from "./write-availability.ts";

const attempt = (startedMs: number, endedMs: number, succeeded: boolean, client: number): WriteAttempt => {
  const failure = succeeded ? null : `no answer by ${endedMs}`;
  return { client, startedMs, endedMs, failure };
};
const ok = (startedMs: number, endedMs: number, client = 0): WriteAttempt => attempt(startedMs, endedMs, true, client);
const lost = (startedMs: number, endedMs: number, client = 0): WriteAttempt =>
  attempt(startedMs, endedMs, false, client);

type Case = readonly [string, readonly WriteAttempt[], Partial<WriteAvailability>];
const cases: readonly Case[] = [
  [
    "a write lasts until it is acknowledged, and a pause of the probe's own is none",
    [ok(0, 10), ok(50, 290), ok(990, 1000)],
    { failed: 0, firstFailure: null, longestGapMs: 240, unavailableMs: 0 },
  ],
  [
    "T10: one write that waits long is a gap although others go through",
    [ok(0, 10), ok(50, 700), ok(100, 110), ok(150, 160)],
    { longestGapMs: 650, unavailableMs: 0 },
  ],
  [
    "a failure lasts until a later write goes through",
    [ok(0, 10), lost(50, 350), ok(400, 450)],
    { unavailableMs: 400 },
  ],
  [
    "a failure beside writes that go through",
    [lost(0, 990), ok(50, 60), ok(100, 110)],
    { failed: 1, firstFailure: "no answer by 990", longestGapMs: 60, unavailableMs: 60 },
  ],
  [
    "R38: no success at all",
    [lost(0, 500), lost(50, 550)],
    { firstFailure: "no answer by 500", longestGapMs: 1000, unavailableMs: 1000 },
  ],
  [
    "T10: failures before the first success",
    [lost(0, 600), ok(600, 700), ok(900, 950)],
    { longestGapMs: 700, unavailableMs: 700 },
  ],
  ["T10: failures after the last success", [ok(0, 100), lost(150, 1000)], { longestGapMs: 850, unavailableMs: 850 }],
  [
    "the other clients' writes do not end a client's gap",
    [ok(0, 10), lost(100, 500), ok(200, 210, 1), ok(700, 800)],
    { longestGapMs: 700, unavailableMs: 700 },
  ],
  [
    "clients that fail at the same time make it unavailable once",
    [lost(100, 300), ok(400, 500), lost(200, 300, 1), ok(500, 600, 1), lost(800, 850), ok(860, 900)],
    { longestGapMs: 400, unavailableMs: 600 },
  ],
  ["fractions", [ok(0, 0.4), ok(0.5, 333.333)], { longestGapMs: 333, unavailableMs: 0 }],
];

describe("writeAvailability", () => {
  it.each(cases)("counts what a client waits at the worst moment: %s", (_name, attempts, expected) => {
    const counted = writeAvailability(attempts, { startedMs: 0, endedMs: 1000 });
    expect(counted).toMatchObject({ attempts: attempts.length, measuredMs: 1000, ...expected });
    const { firstFailure: _, steps, ...numbers } = counted;
    expect(steps).toEqual([]);
    expect(Object.values(numbers).every(Number.isInteger)).toBe(true);
  });

  it.each([
    ["available", [ok(0, 1000)]],
    ["delayed", [ok(0, 1001)]],
    ["unavailable", [ok(0, 10), lost(20, 30), ok(40, 50)]],
  ] as const)("F1: calls writes %s by what failed, and by what a client waited at most", (expected, attempts) => {
    expect(outcomeOf(writeAvailability(attempts, { startedMs: 0, endedMs: 2000 }), false)).toBe(expected);
  });

  it.each([
    ["that hides an answer", [{ fromMs: 200, untilMs: 598 }], 102],
    ["that holds a request back", [{ fromMs: 90, untilMs: 200 }], 400],
    ["before an answer that came later", [{ fromMs: 200, untilMs: 500 }], 500],
  ] as const)("T10: does not take its own standing still for the cluster's: one %s", (_, stalls, expected) => {
    const run = { startedMs: 0, endedMs: 1000 };
    expect(writeAvailability([ok(100, 600)], run, stalls).longestGapMs).toBe(expected);
    expect(writeAvailability([lost(100, 600), ok(500, 600)], run, stalls).unavailableMs).toBe(expected);
  });
});
