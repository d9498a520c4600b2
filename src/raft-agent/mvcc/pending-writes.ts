/**
 * Changes that are written but not yet committed to disk, in a form that reads can look through. Revisions only ever
 * ascend, so that they are a plain list: a put costs no object of its own, and a look-up is a search by halves.
 */
import type { RevisionVisitor } from "./backend.ts";
import { grown } from "./version-chains.ts";

const firstCapacity = 256;

export class PendingWrites {
  private mains = new Float64Array(firstCapacity);
  private subs = new Uint32Array(firstCapacity);
  private readonly tombstones: boolean[] = [];
  /** Undefined where compaction was quicker than the commit. */
  private readonly values: (Uint8Array | undefined)[] = [];
  /** Revision keys to delete from disk. */
  readonly deletions: { main: number; sub: number; tombstone: boolean }[] = [];
  /** Full metadata key → new value, null to delete. */
  readonly metadata: Map<string, Uint8Array | null> = new Map();
  /** Pages of the key index; null to delete. */
  readonly indexPages: Map<number, Uint8Array | null> = new Map();
  operations = 0;
  bytes = 0;

  /** Revisions come in ascending order. */
  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    const place = this.values.length;
    if (place === this.mains.length) this.grow();
    this.mains[place] = main;
    this.subs[place] = sub;
    this.tombstones.push(tombstone);
    this.values.push(value);
    this.operations++;
    this.bytes += value.length + 32;
  }

  get(main: number, sub: number): Uint8Array | undefined {
    return this.values[this.find(main, sub)];
  }

  /** Forgets a change that never reached the disk; false when it is not here. */
  forget(main: number, sub: number): boolean {
    const place = this.find(main, sub);
    if (this.values[place] === undefined) return false;
    this.values[place] = undefined;
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

  /** Ascending from (`main`, `sub`); false when `visit` asked to stop. */
  scan(main: number, sub: number, visit: RevisionVisitor): boolean {
    for (let place = this.lowerBound(main, sub); place < this.values.length; place++) {
      const value = this.values[place];
      if (value === undefined) continue;
      if (!visit(this.mains[place]!, this.subs[place]!, this.tombstones[place]!, value)) return false;
    }
    return true;
  }

  /** The place of a revision, or -1. Most look-ups are for what is older than anything here. */
  private find(main: number, sub: number): number {
    if (this.values.length === 0 || main < this.mains[0]!) return -1;
    const place = this.lowerBound(main, sub);
    const found = place < this.values.length && this.mains[place] === main && this.subs[place] === sub;
    return found ? place : -1;
  }

  private lowerBound(main: number, sub: number): number {
    let low = 0;
    let high = this.values.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const before = this.mains[middle]! - main || this.subs[middle]! - sub;
      if (before < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private grow(): void {
    this.mains = grown(this.mains, new Float64Array(this.mains.length * 2));
    this.subs = grown(this.subs, new Uint32Array(this.subs.length * 2));
  }
}
