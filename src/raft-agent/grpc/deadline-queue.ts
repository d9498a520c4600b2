/**
 * Deadlines of calls in flight: a binary heap under one timer, so that a call needs no timer of its own. Calls mostly
 * arrive in the order of their deadlines and finish long before them, which the heap makes cheap.
 */

/** A call with a deadline stores its heap position, so that it can be removed; -1 when it is in none. */
export type Expiring = { deadlineMs: number; deadlineSlot: number; onDeadline(): void };

/** The maximum delay of a Node timer. */
const timerMaxMs = 0x7fff_ffff;

export class DeadlineQueue {
  readonly #nowMs: () => number;
  readonly #heap: Expiring[] = [];
  #timer: NodeJS.Timeout | undefined = undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  /** `nowMs` is the monotonic clock that `deadlineMs` counts on. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#heap.length;
  }

  add(call: Expiring): void {
    this.#rise(this.#heap.length, call);
    if (call.deadlineMs < this.#timerAtMs) this.#arm(call.deadlineMs);
  }

  remove(call: Expiring): void {
    const slot = call.deadlineSlot;
    if (slot < 0) return;
    call.deadlineSlot = -1;
    const last = this.#heap.pop()!;
    if (last === call) return;
    if (slot > 0 && last.deadlineMs < this.#heap[(slot - 1) >> 1]!.deadlineMs) this.#rise(slot, last);
    else this.#sink(slot, last);
  }

  /** Removes all deadlines. */
  clear(): void {
    for (const call of this.#heap) call.deadlineSlot = -1;
    this.#heap.length = 0;
    clearTimeout(this.#timer);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
  }

  #rise(from: number, call: Expiring): void {
    let slot = from;
    while (slot > 0) {
      const parent = this.#heap[(slot - 1) >> 1]!;
      if (parent.deadlineMs <= call.deadlineMs) break;
      this.#heap[slot] = parent;
      parent.deadlineSlot = slot;
      slot = (slot - 1) >> 1;
    }
    this.#heap[slot] = call;
    call.deadlineSlot = slot;
  }

  #sink(from: number, call: Expiring): void {
    const heap = this.#heap;
    let slot = from;
    for (;;) {
      let child = slot * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.deadlineMs < heap[child]!.deadlineMs) child++;
      if (heap[child]!.deadlineMs >= call.deadlineMs) break;
      heap[slot] = heap[child]!;
      heap[slot]!.deadlineSlot = slot;
      slot = child;
    }
    heap[slot] = call;
    call.deadlineSlot = slot;
  }

  #arm(atMs: number): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    const waitMs = Math.min(timerMaxMs, Math.max(0, Math.ceil(atMs - this.#nowMs())));
    this.#timer = setTimeout(this.#onTimer, waitMs).unref();
  }

  /** The timer may fire early, when the call it was set for has finished: it is then set again, once. */
  readonly #onTimer = (): void => {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#nowMs();
    while (this.#heap.length > 0 && this.#heap[0]!.deadlineMs <= nowMs) {
      const call = this.#heap[0]!;
      this.remove(call);
      call.onDeadline();
    }
    if (this.#heap.length > 0) this.#arm(this.#heap[0]!.deadlineMs);
  };
}
