/**
 * Caches the last few header blocks of a connection with their decoded fields. A client that calls one method
 * repeatedly sends the same few bytes; as long as the dynamic table has not changed since, the same bytes mean the
 * same fields. A block that itself changes the table is never cached: it would mean something else the second time.
 */
import type { RequestHead } from "./request-head.ts";

const entriesMax = 8;
/** Longer blocks are decoded every time: comparing them would cost about as much. */
const blockBytesMax = 512;

export class HeaderBlockCache {
  readonly #blocks: Buffer[] = [];
  readonly #heads: RequestHead[] = [];
  #replaceNext = 0;
  #lastHit = 0;
  #tableChanges = -1;

  /** The decoded fields of these bytes, or undefined. `tableChanges` is the decoder's counter. */
  find(bytes: Buffer, start: number, end: number, tableChanges: number): RequestHead | undefined {
    if (tableChanges !== this.#tableChanges) return undefined;
    const entries = this.#blocks.length;
    for (let probe = 0, i = this.#lastHit; probe < entries; probe++, i = i + 1 === entries ? 0 : i + 1) {
      if (!equalBytes(this.#blocks[i]!, bytes, start, end)) continue;
      this.#lastHit = i;
      return this.#heads[i];
    }
    return undefined;
  }

  /** Caches a block that was decoded without changing the table. */
  add(bytes: Buffer, start: number, end: number, tableChanges: number, head: RequestHead): void {
    if (end - start > blockBytesMax) return;
    if (tableChanges !== this.#tableChanges) {
      this.#blocks.length = 0;
      this.#heads.length = 0;
      this.#replaceNext = 0;
      this.#lastHit = 0;
      this.#tableChanges = tableChanges;
    }
    this.#blocks[this.#replaceNext] = Buffer.from(bytes.subarray(start, end));
    this.#heads[this.#replaceNext] = head;
    this.#replaceNext = (this.#replaceNext + 1) % entriesMax;
  }
}

function equalBytes(block: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (block.length !== length) return false;
  // Blocks of one client tend to differ near the end, so the comparison starts there.
  for (let i = length - 1; i >= 0; i--) if (block[i] !== bytes[start + i]) return false;
  return true;
}
