/**
 * The append messages in flight to one follower, as a ring of (last index, bytes) pairs in ascending order.
 * Acknowledging an index frees everything up to it, since a follower acknowledges its log, not a message.
 */
import { assert } from "../../base/assert.ts";
import type { LogIndex } from "./entry.ts";

export class InflightWindow {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #lastIndexes: Float64Array;
  readonly #sizes: Float64Array;
  #head = 0;
  #count = 0;
  #bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
    this.#lastIndexes = new Float64Array(maxMessages);
    this.#sizes = new Float64Array(maxMessages);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Full by count or by size; the message that crosses the byte limit is the last one admitted. */
  get isFull(): boolean {
    return this.#count === this.#maxMessages || this.#bytes >= this.#maxBytes;
  }

  add(lastIndex: LogIndex, bytes: number): void {
    assert(!this.isFull, "a message is sent only while the window has room");
    const slot = (this.#head + this.#count) % this.#maxMessages;
    this.#lastIndexes[slot] = lastIndex;
    this.#sizes[slot] = bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  freeUpTo(index: LogIndex): void {
    while (this.#count > 0 && (this.#lastIndexes[this.#head] ?? 0) <= index) {
      this.#bytes -= this.#sizes[this.#head] ?? 0;
      this.#head = (this.#head + 1) % this.#maxMessages;
      this.#count -= 1;
    }
  }

  clear(): void {
    this.#head = 0;
    this.#count = 0;
    this.#bytes = 0;
  }
}
