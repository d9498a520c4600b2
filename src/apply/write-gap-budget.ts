/**
 * A budget for write gaps: apply stops when a client has waited for longer. When it is spent, the waits of the steps under way end,
 * and their actions finish. See docs/decisions/20261130-write-gap-budget.md.
 */
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { StepGap } from "./apply-event.ts";

/** What a spent budget has stopped. */
export type SpentGap = { readonly budgetMs: number; readonly gapMs: number };

export class WriteGapBudget {
  readonly #maxMs: number;
  readonly #spending = new AbortController();
  #gapMs = 0;
  #tell: (spent: SpentGap) => void = () => undefined;

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  /** Null while no client has waited for longer. */
  get spent(): SpentGap | null {
    return this.#gapMs > this.#maxMs ? { budgetMs: this.#maxMs, gapMs: this.#gapMs } : null;
  }

  /** Calls `tell` once, when it is spent. */
  onSpent(tell: (spent: SpentGap) => void): void {
    this.#tell = tell;
  }

  /** Reports the longest gap until now. */
  note(gapMs: number): void {
    this.#gapMs = Math.max(this.#gapMs, gapMs);
    if (this.spent === null || this.#spending.signal.aborted) return;
    this.#spending.abort(spentError(this.spent));
    this.#tell(this.spent);
  }

  /** The clock with which steps wait. */
  limit(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
      sleep: (ms, signal) => clock.sleep(ms, AbortSignal.any([this.#spending.signal, ...(signal ? [signal] : [])])),
    };
  }
}

export function isSpentError(error: unknown): error is HaplanError {
  return error instanceof HaplanError && error.code === "apply/write-gap";
}

function spentError({ budgetMs, gapMs }: SpentGap): HaplanError {
  return new HaplanError(
    "apply/write-gap",
    `A client has waited ${Math.round(gapMs)} ms for a write, and -max-write-gap allows ${budgetMs} ms`,
  );
}

type Span = { readonly fromMs: number; readonly untilMs: number };

/** The longest part of a gap that fell into each step, longest first; steps without a gap are left out. */
export function stepGaps(
  gaps: readonly Span[],
  steps: readonly (Span & { readonly id: string })[],
): readonly StepGap[] {
  return steps
    .map(({ id, fromMs, untilMs }) => {
      const partOf = (gap: Span): number => Math.min(gap.untilMs, untilMs) - Math.max(gap.fromMs, fromMs);
      return { id, longestGapMs: Math.round(gaps.reduce((longest, gap) => Math.max(longest, partOf(gap)), 0)) };
    })
    .filter(({ longestGapMs }) => longestGapMs > 0)
    .toSorted((a, b) => b.longestGapMs - a.longestGapMs);
}
