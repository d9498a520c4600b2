/**
 * Lets the core's time run. While a leader is known only heartbeats and timeouts of many ticks are waited for: several
 * ticks are then taken together, so that a member with nothing to do sleeps longer. Without a leader every tick comes by
 * itself, since members take turns a few ticks apart. After a pause of the process no ticks are made up for: the
 * silence was its own.
 */

export type TickTimerOptions = {
  readonly tickMs: number;
  /** Ticks taken together while settled. */
  readonly settledTicks: number;
  readonly onTicks: (count: number) => void;
};

export class TickTimer {
  readonly #options: TickTimerOptions;
  #timer: NodeJS.Timeout | null = null;
  #settled = false;

  constructor(options: TickTimerOptions) {
    this.#options = options;
  }

  start(): void {
    this.stop();
    const count = this.#settled ? this.#options.settledTicks : 1;
    this.#timer = setInterval(() => this.#options.onTicks(count), count * this.#options.tickMs);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** A leader is known, or is not any more. The next tick is then a whole interval away. */
  settle(settled: boolean): void {
    if (settled === this.#settled) return;
    this.#settled = settled;
    if (this.#timer !== null) this.start();
  }
}

/** Two wakes for each heartbeat, and none of more than 50 ms: a fraction of any election timeout. */
export function settledTicks(tickMs: number, heartbeatIntervalMs: number): number {
  return Math.max(1, Math.floor(Math.min(heartbeatIntervalMs / 2, 50) / tickMs));
}
