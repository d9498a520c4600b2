/**
 * Computes write availability from the probe's writes. Pure: the probe writes, this counts. A gap is what a client sees
 * that writes one key after the other without a pause: the time from the start of a write to the next acknowledgment.
 * See docs/decisions/20261129-write-availability.md.
 */
import type { WriteAvailability } from "./apply-event.ts";
import { stepGaps } from "./write-gap-budget.ts";

export type WriteAttempt = {
  /** The probe's client that wrote it. */
  readonly client: number;
  /** On a monotonic clock. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** Why it failed; null if it was acknowledged. */
  readonly failure: string | null;
};

/** Time in which haplan itself was suspended: responses that arrived meanwhile are seen only at its end. */
export type Stall = { readonly fromMs: number; readonly untilMs: number };

/** A step of the apply while it ran. */
export type ProbedStep = { readonly id: string; readonly fromMs: number; readonly untilMs: number };

type Gap = { readonly fromMs: number; readonly untilMs: number };

/** A stall that starts or ends this close to a write's start or end has delayed it. */
const edgeMs = 5;

/**
 * The cluster was unavailable while a client had no write acknowledged after a failed one. Times are whole
 * milliseconds.
 */
export function writeAvailability(
  attempts: readonly WriteAttempt[],
  run: { readonly startedMs: number; readonly endedMs: number },
  stalls: readonly Stall[] = [],
  steps: readonly ProbedStep[] = [],
): WriteAvailability {
  const gapOf = nextAcknowledgements(attempts, run.endedMs);
  const gaps = attempts.map((attempt) => withoutStalls(gapOf(attempt), stalls));
  const failing = gaps.filter((_, at) => attempts[at]!.failure !== null);
  return {
    attempts: attempts.length,
    failed: failing.length,
    firstFailure: firstFailureOf(attempts),
    longestGapMs: Math.round(gaps.reduce((longest, { fromMs, untilMs }) => Math.max(longest, untilMs - fromMs), 0)),
    unavailableMs: Math.round(coveredMs(failing)),
    measuredMs: Math.round(run.endedMs - run.startedMs),
    steps: stepGaps(gaps, steps),
  };
}

/**
 * `delayed`: no write failed, but a client waited longer than in a normal change, because there was no quorum or no leader for
 * a while, or longer than the budget allows.
 */
export type AvailabilityOutcome = "available" | "delayed" | "unavailable";

/** A planned change costs a client at most a second. */
const plannedGapMaxMs = 1_000;

export function outcomeOf({ failed, longestGapMs }: WriteAvailability, budgetSpent: boolean): AvailabilityOutcome {
  if (failed > 0) return "unavailable";
  return budgetSpent || longestGapMs > plannedGapMaxMs ? "delayed" : "available";
}

function firstFailureOf(attempts: readonly WriteAttempt[]): string | null {
  const failed = attempts.filter(({ failure }) => failure !== null);
  return failed.toSorted((a, b) => a.endedMs - b.endedMs)[0]?.failure ?? null;
}

/**
 * A successful write was waited for to its end. A failed one is followed by others of the same client, started
 * meanwhile: the gap ends with the first of them that is acknowledged.
 */
function nextAcknowledgements(attempts: readonly WriteAttempt[], endedMs: number): (attempt: WriteAttempt) => Gap {
  const nextMs = new Map<WriteAttempt, number>();
  const earliestMs = new Map<number, number>();
  for (const attempt of attempts.toSorted((a, b) => b.startedMs - a.startedMs)) {
    const knownMs = earliestMs.get(attempt.client) ?? endedMs;
    const succeeded = attempt.failure === null;
    const untilMs = succeeded ? Math.min(knownMs, attempt.endedMs) : knownMs;
    earliestMs.set(attempt.client, untilMs);
    nextMs.set(attempt, succeeded ? attempt.endedMs : untilMs);
  }
  return (attempt) => ({ fromMs: attempt.startedMs, untilMs: nextMs.get(attempt)! });
}

/** A stall delays a response on arrival, and a request at its start. One in between changes little. */
export function withoutStalls(gap: Gap, stalls: readonly Stall[]): Gap {
  const { fromMs, untilMs } = gap;
  const delaying = stalls.filter((stall) => stall.fromMs <= fromMs + edgeMs || stall.untilMs >= untilMs - edgeMs);
  const stalledMs = delaying.reduce(
    (sum, stall) => sum + Math.max(0, Math.min(untilMs, stall.untilMs) - Math.max(fromMs, stall.fromMs)),
    0,
  );
  return { fromMs, untilMs: Math.max(fromMs, untilMs - stalledMs) };
}

/** The total duration of the gaps, overlaps counted once. */
function coveredMs(gaps: readonly Gap[]): number {
  let sum = 0;
  let endMs = Number.NEGATIVE_INFINITY;
  for (const { fromMs, untilMs } of gaps.toSorted((a, b) => a.fromMs - b.fromMs)) {
    sum += Math.max(0, untilMs - Math.max(fromMs, endMs));
    endMs = Math.max(endMs, untilMs);
  }
  return sum;
}
