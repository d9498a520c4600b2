/**
 * The ticks of the core. While a leader is known only heartbeats and timeouts of many ticks matter: several ticks are
 * then delivered together, so that an idle member wakes less often. Without a leader every tick is delivered
 * separately, since members campaign a few ticks apart. After a pause of the process no missed ticks are delivered:
 * the silence was its own.
 */

export type TickTimerOptions = {
  readonly tickMs: number;
  /** Ticks delivered together while settled. */
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

  /** Whether a leader is known. The next tick is then a whole interval away. */
  settle(settled: boolean): void {
    if (settled === this.#settled) return;
    this.#settled = settled;
    if (this.#timer !== null) this.start();
  }
}

/** Two wakeups for each heartbeat, and none longer than 50 ms: a fraction of any election timeout. */
export function settledTicks(tickMs: number, heartbeatIntervalMs: number): number {
  return Math.max(1, Math.floor(Math.min(heartbeatIntervalMs / 2, 50) / tickMs));
}
