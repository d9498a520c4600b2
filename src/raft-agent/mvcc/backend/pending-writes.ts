/**
 * Changes that are written but not yet committed to disk, in a form that reads can search. Revisions only ascend, so
 * they are a plain list: a put needs no object of its own, and a lookup is a binary search. Values are stored in a few
 * large chunks: the garbage collector need not traverse and move what is not an object.
 */

import { grown } from "../index/version-chains.ts";
import type { RevisionVisitor } from "./backend.ts";

const firstCapacity = 256;
const chunkBytes = 64 * 1024;

export class PendingWrites {
  #mains = new Float64Array(firstCapacity);
  #subs = new Uint32Array(firstCapacity);
  #tombstones = new Uint8Array(firstCapacity);
  readonly #chunks: Uint8Array[] = [];
  /**
   * The position of a value: its chunk (1 = the first; 0 where compaction preceded the commit), and the range in it.
   */
  #chunkOf = new Uint32Array(firstCapacity);
  #starts = new Uint32Array(firstCapacity);
  #lengths = new Uint32Array(firstCapacity);
  #count = 0;
  /** Used bytes of the last chunk. */
  #used = chunkBytes;
  /** Revision keys to delete from disk. */
  readonly deletions: { main: number; sub: number; tombstone: boolean }[] = [];
  /** Full metadata key → new value, null to delete. */
  readonly metadata: Map<string, Uint8Array | null> = new Map();
  /** Pages of the key index; null to delete. */
  readonly indexPages: Map<number, Uint8Array | null> = new Map();
  operations = 0;
  bytes = 0;

  /** Revisions are ascending; `value` is copied. */
  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    const place = this.#count++;
    if (place === this.#mains.length) this.#grow();
    this.#mains[place] = main;
    this.#subs[place] = sub;
    this.#tombstones[place] = tombstone ? 1 : 0;
    this.#starts[place] = this.#keep(value);
    this.#lengths[place] = value.length;
    this.#chunkOf[place] = this.#chunks.length;
    this.operations++;
    this.bytes += value.length + 32;
  }

  get(main: number, sub: number): Uint8Array | undefined {
    const place = this.#find(main, sub);
    return place < 0 ? undefined : this.#valueAt(place);
  }

  /** Drops a change that never reached the disk; false when it is not here. */
  forget(main: number, sub: number): boolean {
    const place = this.#find(main, sub);
    if (place < 0 || this.#chunkOf[place] === 0) return false;
    this.#chunkOf[place] = 0;
    return true;
  }

  delete(main: number, sub: number, tombstone: boolean): void {
    this.operations++;
    this.deletions.push({ main, sub, tombstone });
  }

  setMetadata(key: string, value: Uint8Array | null): void {
    this.operations++;
    this.bytes += key.length + (value?.length ?? 0);
    this.metadata.set(key, value);
  }

  setIndexPage(lastMain: number, page: Uint8Array | null): void {
    this.operations++;
    this.bytes += page?.length ?? 0;
    this.indexPages.set(lastMain, page);
  }

  /** Ascending from (`main`, `sub`); false when `visit` stopped. */
  scan(main: number, sub: number, visit: RevisionVisitor): boolean {
    for (let place = this.#lowerBound(main, sub); place < this.#count; place++) {
      const value = this.#valueAt(place);
      if (value === undefined) continue;
      if (!visit(this.#mains[place]!, this.#subs[place]!, this.#tombstones[place] === 1, value)) return false;
    }
    return true;
  }

  /** A view: the bytes do not change. Undefined for a dropped change. */
  #valueAt(place: number): Uint8Array | undefined {
    const chunk = this.#chunks[this.#chunkOf[place]! - 1];
    const start = this.#starts[place]!;
    return chunk?.subarray(start, start + this.#lengths[place]!);
  }

  /** Copies `value` into the last chunk, or a new one, and returns its offset. */
  #keep(value: Uint8Array): number {
    if (this.#used + value.length > (this.#chunks.at(-1)?.length ?? 0)) {
      this.#chunks.push(new Uint8Array(Math.max(chunkBytes, value.length)));
      this.#used = 0;
    }
    const start = this.#used;
    this.#chunks[this.#chunks.length - 1]!.set(value, start);
    this.#used += value.length;
    return start;
  }

  /** The position of a revision, or -1. Most lookups are for revisions older than any here. */
  #find(main: number, sub: number): number {
    if (this.#count === 0 || main < this.#mains[0]!) return -1;
    const place = this.#lowerBound(main, sub);
    const found = place < this.#count && this.#mains[place] === main && this.#subs[place] === sub;
    return found ? place : -1;
  }

  #lowerBound(main: number, sub: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const before = this.#mains[middle]! - main || this.#subs[middle]! - sub;
      if (before < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #grow(): void {
    const capacity = this.#mains.length * 2;
    this.#mains = grown(this.#mains, new Float64Array(capacity));
    this.#subs = grown(this.#subs, new Uint32Array(capacity));
    this.#tombstones = grown(this.#tombstones, new Uint8Array(capacity));
    this.#chunkOf = grown(this.#chunkOf, new Uint32Array(capacity));
    this.#starts = grown(this.#starts, new Uint32Array(capacity));
    this.#lengths = grown(this.#lengths, new Uint32Array(capacity));
  }
}
