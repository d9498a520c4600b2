/**
 * Limits the work that a client can cause at next to no cost: resets (CVE-2023-44487, and resets it provokes from us,
 * CVE-2025-8671), pings, settings, empty frames (CVE-2019-9512, -9515, -9518), tiny window updates (-9511). Each kind
 * has a budget that refills over time; the clock is read only when a budget is exhausted.
 */

/** A budget of `burst`, refilled at `perSecond`. */
export type Budget = { readonly burst: number; readonly perSecond: number };

export type FloodLimits = {
  /** Streams reset by the client, or by us for a client error. */
  readonly resets: Budget;
  /** PING, SETTINGS, PRIORITY, unknown and empty frames. */
  readonly control: Budget;
  readonly windowUpdates: Budget;
};

/** A client that permanently cancels a thousand calls per second is still served. */
export const defaultFloodLimits: FloodLimits = {
  resets: { burst: 10_000, perSecond: 1_000 },
  control: { burst: 10_000, perSecond: 1_000 },
  windowUpdates: { burst: 200_000, perSecond: 100_000 },
};

export class TokenBucket {
  readonly #budget: Budget;
  readonly #now: () => number;
  #tokens: number;
  #refilledAtMs: number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(budget: Budget, now: () => number) {
    this.#budget = budget;
    this.#now = now;
    this.#tokens = budget.burst;
    this.#refilledAtMs = now();
  }

  /** Takes one token; false means that the budget is exhausted. */
  take(): boolean {
    if (--this.#tokens >= 0) return true;
    const nowMs = this.#now();
    const earned = Math.floor(((nowMs - this.#refilledAtMs) / 1000) * this.#budget.perSecond);
    if (earned < 1) {
      this.#tokens = 0;
      return false;
    }
    this.#refilledAtMs = nowMs;
    this.#tokens = Math.min(this.#budget.burst, earned) - 1;
    return true;
  }
}
