/**
 * Key bytes outside the JavaScript heap. Keys are stored in chunks of a mebibyte at addresses that are multiples of
 * eight; freed space is reused for keys of the same size class, so that short-lived keys do not grow the arena.
 */
import { keyWord } from "./sort-slots.ts";

const chunkSize = 1 << 20;
const unit = 8;
const unitsPerChunk = chunkSize / unit;
const unitBits = Math.log2(unitsPerChunk);
const unitMask = unitsPerChunk - 1;

export class KeyArena {
  readonly #chunks: Uint8Array[] = [];
  /** Next free unit in the newest regular chunk. */
  #current = -1;
  #nextUnit = unitsPerChunk;
  /** Size in units → addresses free for reuse. */
  readonly #free = new Map<number, number[]>();

  /** Copies a key in and returns its address. */
  add(key: Uint8Array): number {
    const units = Math.max(1, Math.ceil(key.length / unit));
    const address = this.#free.get(units)?.pop() ?? this.#extend(units);
    this.#chunks[address >>> unitBits]!.set(key, (address & unitMask) * unit);
    return address;
  }

  remove(address: number, length: number): void {
    const units = Math.max(1, Math.ceil(length / unit));
    const list = this.#free.get(units);
    if (list === undefined) this.#free.set(units, [address]);
    else list.push(address);
  }

  /** Compares the key stored at `address` with `key`. */
  compare(address: number, length: number, key: Uint8Array): number {
    const chunk = this.#chunks[address >>> unitBits]!;
    const offset = (address & unitMask) * unit;
    const shared = Math.min(length, key.length);
    for (let i = 0; i < shared; i++) {
      const difference = chunk[offset + i]! - key[i]!;
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }

  /** A few bytes of a stored key as a number for sorting (see `sort-slots.ts`). */
  word(address: number, length: number, depth: number, count: number): number {
    return keyWord(this.#chunks[address >>> unitBits]!, (address & unitMask) * unit, length, depth, count);
  }

  /** The key as a view that is valid until it is removed. */
  view(address: number, length: number): Uint8Array {
    const offset = (address & unitMask) * unit;
    return this.#chunks[address >>> unitBits]!.subarray(offset, offset + length);
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  #extend(units: number): number {
    if (units > unitsPerChunk) {
      // A key larger than a chunk gets its own chunk.
      this.#chunks.push(new Uint8Array(units * unit));
      return (this.#chunks.length - 1) * unitsPerChunk;
    }
    if (this.#nextUnit + units > unitsPerChunk) {
      this.#chunks.push(new Uint8Array(chunkSize));
      this.#current = this.#chunks.length - 1;
      this.#nextUnit = 0;
    }
    const address = this.#current * unitsPerChunk + this.#nextUnit;
    this.#nextUnit += units;
    return address;
  }
}
