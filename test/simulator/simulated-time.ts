/**
 * Simulated time: one queue of events, run one after the other. Promises of the code under test settle between two
 * events, never across them, so that nothing depends on the host machine.
 */
import type { Clock } from "../../src/base/clock.ts";

type Event = { readonly atMs: number; readonly order: number; readonly run: () => void };

/** The simulated wall clock at the start of the simulation. */
const epochMs = 1_800_000_000_000;

export class SimulatedTime {
  nowMs = 0;
  /** Events run so far. */
  eventCount = 0;
  readonly #heap: Event[] = [];
  #order = 0;

  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#heap.push(event);
    siftUp(this.#heap);
  }

  /** Runs due events until `untilMs`, or until `isOver`. An error of an event ends the run. */
  async runUntil(untilMs: number, isOver: () => boolean): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      takeFirst(this.#heap);
      this.nowMs = next.atMs;
      this.eventCount++;
      next.run();
      await settle();
      if (isOver()) return;
    }
    this.nowMs = untilMs;
  }

  wallClockMs(): number {
    return epochMs + Math.floor(this.nowMs);
  }
}

/**
 * Resolves when no promise can make progress by itself any more: Node runs ticks only when the microtask queue is
 * empty, and a tick requested by a microtask comes after all of them.
 */
export function settle(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}

/**
 * The time of one process: none of its events run after its end, or while it is paused (a stopped process, a suspended
 * machine); afterwards everything due runs at once.
 */
export class Life {
  alive = true;
  readonly clock: Clock;
  readonly #time: SimulatedTime;
  #pausedUntilMs = 0;

  /** `offsetMs`: the offset of the machine's wall clock. */
  constructor(time: SimulatedTime, offsetMs: () => number = () => 0) {
    this.#time = time;
    this.clock = {
      now: () => time.wallClockMs() + offsetMs(),
      monotonicMs: () => time.nowMs,
      sleep: (ms) => new Promise((resolve) => this.after(ms, resolve)),
    };
  }

  after(delayMs: number, run: () => void): void {
    this.#time.after(delayMs, () => this.#runNow(run));
  }

  every(periodMs: number, run: () => void): void {
    this.after(periodMs, () => {
      run();
      this.every(periodMs, run);
    });
  }

  pause(forMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#time.nowMs + forMs);
  }

  end(): void {
    this.alive = false;
  }

  #runNow(run: () => void): void {
    if (!this.alive) return;
    if (this.#time.nowMs < this.#pausedUntilMs) this.after(this.#pausedUntilMs - this.#time.nowMs, run);
    else run();
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}

function siftUp(heap: Event[]): void {
  let at = heap.length - 1;
  const event = heap[at]!;
  while (at > 0) {
    const parent = (at - 1) >>> 1;
    if (!isBefore(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function takeFirst(heap: Event[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
    if (!isBefore(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
}
