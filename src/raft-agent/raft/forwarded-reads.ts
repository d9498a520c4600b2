/**
 * Reads that a follower has forwarded to its leader. On the wire each has a number of the core's own, counted from a
 * random start, so that a response from before a restart cannot be mistaken for a later one: it might be stale.
 */
import type { Random } from "../../base/random.ts";

type ForwardedRead = { readonly context: number; readonly expiresAtTick: number };

const highestStart = 2 ** 48;

export class ForwardedReads {
  /** In order of expiry. */
  readonly #reads = new Map<number, ForwardedRead>();
  #nextNumber: number;

  constructor(random: Random) {
    this.#nextNumber = random.below(highestStart);
  }

  get size(): number {
    return this.#reads.size;
  }

  /** Returns the number to send. */
  add(context: number, expiresAtTick: number): number {
    this.#nextNumber += 1;
    this.#reads.set(this.#nextNumber, { context, expiresAtTick });
    return this.#nextNumber;
  }

  /** The driver's number of the answered read, or null when it is no longer pending. */
  take(number: number): number | null {
    const read = this.#reads.get(number);
    this.#reads.delete(number);
    return read === undefined ? null : read.context;
  }

  /** Removes and returns the reads that have been pending until `tick` or longer. */
  takeExpired(tick: number): readonly number[] {
    const expired: number[] = [];
    for (const [number, read] of this.#reads) {
      if (read.expiresAtTick > tick) break;
      this.#reads.delete(number);
      expired.push(read.context);
    }
    return expired;
  }

  takeAll(): readonly number[] {
    const contexts = [...this.#reads.values()].map((read) => read.context);
    this.#reads.clear();
    return contexts;
  }
}
