/** A clock that jumps to the next pending timer, so that minutes of waiting take no time. */
import type { Clock } from "./clock.ts";

type Sleeper = { readonly at: number; readonly wake: () => void };

export class VirtualClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<Sleeper>();
  #ticking = false;

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const wake = (): void => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      const sleeper: Sleeper = { at: this.#nowMs + ms, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#schedule();
    });
  }

  /** Wakes one sleeper per turn of the event loop, so that it runs before time advances. */
  #schedule(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    setImmediate(() => {
      this.#ticking = false;
      const next = [...this.#sleepers].sort((a, b) => a.at - b.at)[0];
      if (next === undefined) return;
      this.#sleepers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.at);
      next.wake();
      if (this.#sleepers.size > 0) this.#schedule();
    });
  }
}
