/**
 * The index from keys to their revisions, in memory and outside the JavaScript heap: no object per key. A key has a
 * slot (a small number); a slot has the key's bytes, their hash, and the newest record of its version chain. Point
 * lookups use a hash, ranges the ordered slots. Semantics are those of etcd's treeIndex (server/storage/mvcc).
 */
import { assert } from "../../../base/assert.ts";
import { isEmptyRange, isOpenEnd } from "../key-range.ts";
import { KeyArena } from "./key-arena.ts";
import { OrderedSlots } from "./ordered-slots.ts";
import { hashBytes, SlotHash } from "./slot-hash.ts";
import { sortSlots } from "./sort-slots.ts";
import { grown, VersionChains } from "./version-chains.ts";

/** Called for every revision that compaction drops. */
export type DropRevision = (main: number, sub: number, tombstone: boolean) => void;

export class KeyIndex {
  readonly versions: VersionChains = new VersionChains();
  readonly #arena = new KeyArena();
  readonly #hash: SlotHash = new SlotHash((slot) => this.#hashes[slot]!);
  readonly #ordered: OrderedSlots = new OrderedSlots({
    compare: (slot, key) => this.#compareKey(slot, key),
    isLive: (slot) => this.versions.version(this.#heads[slot]!) !== 0,
    changedAt: (slot) => this.versions.main(this.#heads[slot]!),
  });
  #addresses = new Uint32Array(1024);
  #lengths = new Uint32Array(1024);
  #hashes = new Uint32Array(1024);
  /** Newest record of a slot; 0 for a free slot, whose `addresses` entry then links to the next free one (+1). */
  #heads = new Uint32Array(1024);
  #firstFree = 0;
  #bulk = false;
  #wanted: Uint8Array = new Uint8Array(0);
  readonly #isWanted = (slot: number): boolean => this.#compareKey(slot, this.#wanted) === 0;
  /** The number of slots ever used; every slot number is below. */
  slotLimit = 0;

  /** Keys that have at least one revision left, deleted ones included. */
  get size(): number {
    return this.#ordered.size;
  }

  /** Bytes held outside the heap. */
  get bytes(): number {
    return (
      this.#arena.bytes + this.#hash.bytes + this.#ordered.bytes + this.versions.bytes + this.#addresses.byteLength * 4
    );
  }

  /** The slot of a key, or -1. */
  find(key: Uint8Array): number {
    return this.#findHashed(key, hashBytes(key));
  }

  /** The newest record at or before `revision`, 0 when there is none or it is a tombstone. */
  liveAt(slot: number, revision: number): number {
    const record = this.versions.at(this.#heads[slot]!, revision);
    return this.versions.version(record) === 0 ? 0 : record;
  }

  /** The newest record of a slot; 0 for a free slot. */
  head(slot: number): number {
    return this.#heads[slot]!;
  }

  /** A view of a slot's key, valid until the key is compacted away. */
  keyOf(slot: number): Uint8Array {
    return this.#arena.view(this.#addresses[slot]!, this.#lengths[slot]!);
  }

  /** Records a put and returns the slot; its new head has created and version. */
  put(key: Uint8Array, main: number, sub: number, leased: boolean): number {
    const slot = this.#findOrAdd(key);
    const newest = this.#heads[slot]!;
    const version = newest === 0 ? 0 : this.versions.version(newest);
    const created = version === 0 ? main : this.versions.created(newest);
    this.#heads[slot] = this.versions.add(main, sub, created, version + 1, leased, newest);
    this.#ordered.changed(slot, main, version === 0 ? 1 : 0);
    return slot;
  }

  /** Records a delete of a live key. */
  tombstone(slot: number, main: number, sub: number): void {
    this.#heads[slot] = this.versions.add(main, sub, 0, 0, false, this.#heads[slot]!);
    this.#ordered.changed(slot, main, -1);
  }

  /** Adds a revision found on disk, between `beginBulk` and `endBulk`, in ascending order. */
  restore(key: Uint8Array, main: number, sub: number, created: number, version: number, leased: boolean): number {
    const slot = this.#findOrAdd(key);
    this.#heads[slot] = this.versions.add(main, sub, created, version, leased, this.#heads[slot]!);
    return slot;
  }

  /** Until `endBulk` keys are only restored, and not ordered, which is then done once for all. */
  beginBulk(): void {
    assert(this.slotLimit === 0, "bulk loading starts with an empty index");
    this.#bulk = true;
  }

  endBulk(): void {
    this.#bulk = false;
    const slots = new Uint32Array(this.slotLimit);
    for (let slot = 0; slot < this.slotLimit; slot++) slots[slot] = slot;
    const arena = this.#arena;
    const addresses = this.#addresses;
    const lengths = this.#lengths;
    sortSlots(slots, (slot, depth, count) => arena.word(addresses[slot]!, lengths[slot]!, depth, count));
    this.#ordered.fill(slots);
  }

  /** Visits the slots of a range (etcd's notation) in key order until `visit` returns false. */
  forEachSlot(key: Uint8Array, rangeEnd: Uint8Array, visit: (slot: number) => boolean): void {
    if (rangeEnd.length === 0) {
      const slot = this.find(key);
      if (slot >= 0) visit(slot);
    } else if (isOpenEnd(rangeEnd)) this.#ordered.forEach(key, null, visit);
    else if (!isEmptyRange(key, rangeEnd)) this.#ordered.forEach(key, rangeEnd, visit);
  }

  /** The number of keys of a range (etcd's notation) that are live at `revision`. */
  countLive(key: Uint8Array, rangeEnd: Uint8Array, revision: number): number {
    const isLiveAt = (slot: number): boolean => this.liveAt(slot, revision) !== 0;
    if (rangeEnd.length === 0) {
      const slot = this.find(key);
      return slot >= 0 && isLiveAt(slot) ? 1 : 0;
    }
    if (isOpenEnd(rangeEnd)) return this.#ordered.countLive(key, null, revision, isLiveAt);
    return isEmptyRange(key, rangeEnd) ? 0 : this.#ordered.countLive(key, rangeEnd, revision, isLiveAt);
  }

  /**
   * Drops what a compaction at `revision` makes unreachable in one slot: everything older than the newest record at or
   * before it, and that record too when it is a tombstone older than `revision` (etcd keeps one exactly there since
   * 3.4.34 and 3.5.16).
   */
  compactSlot(slot: number, revision: number, drop: DropRevision): void {
    const head = this.#heads[slot]!;
    const kept = this.versions.at(head, revision);
    if (kept === 0) return;
    this.#dropChain(this.versions.older(kept), drop);
    this.versions.setOlder(kept, 0);
    if (this.versions.version(kept) !== 0 || this.versions.main(kept) === revision) return;
    if (kept === head) this.#removeSlot(slot);
    else this.#unlink(head, kept);
    this.#dropChain(kept, drop);
  }

  #dropChain(first: number, drop: DropRevision): void {
    for (let record = first; record !== 0; ) {
      const older = this.versions.older(record);
      drop(this.versions.main(record), this.versions.sub(record), this.versions.version(record) === 0);
      this.versions.remove(record);
      record = older;
    }
  }

  #unlink(head: number, record: number): void {
    let newer = head;
    while (this.versions.older(newer) !== record) newer = this.versions.older(newer);
    this.versions.setOlder(newer, 0);
  }

  #compareKey(slot: number, key: Uint8Array): number {
    return this.#arena.compare(this.#addresses[slot]!, this.#lengths[slot]!, key);
  }

  #findHashed(key: Uint8Array, hash: number): number {
    this.#wanted = key;
    return this.#hash.find(hash, this.#isWanted);
  }

  #findOrAdd(key: Uint8Array): number {
    const hash = hashBytes(key);
    const found = this.#findHashed(key, hash);
    if (found >= 0) return found;
    const slot = this.#takeSlot();
    this.#addresses[slot] = this.#arena.add(key);
    this.#lengths[slot] = key.length;
    this.#hashes[slot] = hash;
    this.#hash.add(hash, slot);
    if (!this.#bulk) this.#ordered.add(key, slot);
    return slot;
  }

  #removeSlot(slot: number): void {
    this.#ordered.remove(this.keyOf(slot));
    this.#hash.remove(this.#hashes[slot]!, slot);
    this.#arena.remove(this.#addresses[slot]!, this.#lengths[slot]!);
    this.#heads[slot] = 0;
    this.#addresses[slot] = this.#firstFree;
    this.#firstFree = slot + 1;
  }

  #takeSlot(): number {
    if (this.#firstFree !== 0) {
      const slot = this.#firstFree - 1;
      this.#firstFree = this.#addresses[slot]!;
      return slot;
    }
    if (this.slotLimit === this.#heads.length) this.#grow();
    return this.slotLimit++;
  }

  #grow(): void {
    const size = Math.ceil(this.#heads.length * 1.5);
    this.#addresses = grown(this.#addresses, new Uint32Array(size));
    this.#lengths = grown(this.#lengths, new Uint32Array(size));
    this.#hashes = grown(this.#hashes, new Uint32Array(size));
    this.#heads = grown(this.#heads, new Uint32Array(size));
  }
}
