/**
 * What a row of writes tells of how long nobody could write. Pure: the probe writes, this counts. A gap lasts from one
 * success to the next; the first begins with the run and the last ends with it.
 */
import type { WriteAvailability } from "./apply-event.ts";

/** On a monotonic clock. */
export type WriteAttempt = { readonly startedMs: number; readonly endedMs: number; readonly succeeded: boolean };

/** Time in which haplan itself stood still: answers that came meanwhile are seen only at its end. */
export type Stall = { readonly fromMs: number; readonly untilMs: number };

/** A gap counts as unavailable when a write that failed was under way during it. Times are whole milliseconds. */
export function writeAvailability(
  attempts: readonly WriteAttempt[],
  run: { readonly startedMs: number; readonly endedMs: number },
  stalls: readonly Stall[] = [],
): WriteAvailability {
  const lengthOf = (gap: Gap): number => Math.max(0, gap.until - gap.from - stalledMs(gap, stalls));
  const failed = attempts.filter((attempt) => !attempt.succeeded);
  const successes = attempts.filter((attempt) => attempt.succeeded).map((attempt) => attempt.endedMs);
  const marks = [run.startedMs, ...successes.sort((a, b) => a - b), run.endedMs];
  const gaps = marks.slice(1).map((until, index) => ({ from: marks[index]!, until }));
  const failing = gaps.filter(({ from, until }) =>
    failed.some(({ startedMs, endedMs }) => startedMs < until && endedMs > from),
  );
  return {
    attempts: attempts.length,
    failed: failed.length,
    longestGapMs: Math.round(Math.max(0, ...gaps.map(lengthOf))),
    unavailableMs: Math.round(failing.reduce((sum, gap) => sum + lengthOf(gap), 0)),
    measuredMs: Math.round(run.endedMs - run.startedMs),
  };
}

type Gap = { readonly from: number; readonly until: number };

function stalledMs({ from, until }: Gap, stalls: readonly Stall[]): number {
  return stalls.reduce(
    (sum, { fromMs, untilMs }) => sum + Math.max(0, Math.min(until, untilMs) - Math.max(from, fromMs)),
    0,
  );
}
