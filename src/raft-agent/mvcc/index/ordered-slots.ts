/**
 * Slots in key order: a B+tree of two levels, whose upper level is one plain list of leaves (a few thousand for a
 * million keys). A leaf is a packed array of slot numbers. It also stores how many of its keys are live and when one
 * last changed, so that counting a range at a later revision skips whole leaves: a page of a long list must not visit
 * every key after it, although its response contains the count of all of them.
 */
import { assert } from "../../../base/assert.ts";
import { grown } from "./version-chains.ts";

const leafCapacity = 512;
/** Neighbors with fewer keys in total are merged. */
const mergeBelow = leafCapacity / 2;

type Leaf = {
  readonly id: number;
  readonly slots: Uint32Array;
  count: number;
  /** Keys whose newest revision is not a tombstone. */
  live: number;
  /** No key in the leaf has changed after this revision. */
  changedAt: number;
};

/** The properties of a slot that the order needs. */
export type SlotInfo = {
  /** Compares the slot's key with `key`. */
  compare(slot: number, key: Uint8Array): number;
  isLive(slot: number): boolean;
  /** The revision of the slot's last change. */
  changedAt(slot: number): number;
};

export class OrderedSlots {
  readonly #leaves: Leaf[] = [];
  readonly #leafById: (Leaf | undefined)[] = [];
  readonly #freeIds: number[] = [];
  #leafOfSlot = new Uint32Array(1024);
  readonly #facts: SlotInfo;
  size = 0;

  constructor(facts: SlotInfo) {
    this.#facts = facts;
  }

  /** Adds a slot whose key is `key`, which must be absent and is not live yet. */
  add(key: Uint8Array, slot: number): void {
    this.size++;
    if (this.#leaves.length === 0) this.#leaves.push(this.#newLeaf());
    const index = this.#leafFor(key);
    const leaf = this.#leaves[index]!;
    const place = this.#lowerBound(leaf, key);
    if (leaf.count < leafCapacity) {
      this.#insertAt(leaf, place, slot);
      return;
    }
    // A leaf that grows at its end is split there, so that ascending keys leave full leaves behind.
    const last = index === this.#leaves.length - 1 && place === leaf.count;
    const right = this.#splitLeaf(leaf, last ? leaf.count : leafCapacity / 2);
    this.#leaves.splice(index + 1, 0, right);
    if (place > leaf.count || last) this.#insertAt(right, place - leaf.count, slot);
    else this.#insertAt(leaf, place, slot);
  }

  /** Records that a slot changed at `revision`, and whether it became live (1), dead (-1) or neither (0). */
  changed(slot: number, revision: number, liveChange: number): void {
    const leaf = this.#leafById[this.#leafOfSlot[slot]!]!;
    leaf.live += liveChange;
    leaf.changedAt = revision;
  }

  /** Removes a key, which must not be live. */
  remove(key: Uint8Array): void {
    const index = this.#leafFor(key);
    const leaf = this.#leaves[index];
    assert(leaf !== undefined, "a removed key is in the index");
    const place = this.#lowerBound(leaf, key);
    assert(place < leaf.count && this.#facts.compare(leaf.slots[place]!, key) === 0, "a removed key is in its leaf");
    leaf.slots.copyWithin(place, place + 1, leaf.count);
    leaf.count--;
    this.size--;
    this.#rebalance(index);
  }

  /** Visits slots in key order from `from` up to, not including, `to` (null = to the end) until `visit` returns false. */
  forEach(from: Uint8Array, to: Uint8Array | null, visit: (slot: number) => boolean): void {
    this.#forEachPart(from, to, (leaf, start, stop) => {
      for (let place = start; place < stop; place++) if (!visit(leaf.slots[place]!)) return false;
      return true;
    });
  }

  /** Counts the slots between `from` and `to` for which `isLiveAt` holds, which must mean "live at `revision`". */
  countLive(from: Uint8Array, to: Uint8Array | null, revision: number, isLiveAt: (slot: number) => boolean): number {
    let count = 0;
    this.#forEachPart(from, to, (leaf, start, stop) => {
      if (start === 0 && stop === leaf.count && leaf.changedAt <= revision) count += leaf.live;
      else for (let place = start; place < stop; place++) if (isLiveAt(leaf.slots[place]!)) count++;
      return true;
    });
    return count;
  }

  /** Replaces everything with slots that are already in key order. */
  fill(sorted: Uint32Array): void {
    assert(this.#leaves.length === 0, "only an empty order is filled");
    this.#leafOfSlot = new Uint32Array(Math.max(1024, sorted.length));
    for (let start = 0; start < sorted.length; start += leafCapacity) {
      const leaf = this.#newLeaf();
      const slots = sorted.subarray(start, start + leafCapacity);
      this.#moveInto(leaf, slots);
      for (const slot of slots) leaf.changedAt = Math.max(leaf.changedAt, this.#facts.changedAt(slot));
      this.#leaves.push(leaf);
    }
    this.size = sorted.length;
  }

  get bytes(): number {
    return this.#leaves.length * leafCapacity * 4 + this.#leafOfSlot.byteLength;
  }

  /** Visits the leaves of a range, each with the positions inside it, until `visit` returns false. */
  #forEachPart(
    from: Uint8Array,
    to: Uint8Array | null,
    visit: (leaf: Leaf, start: number, stop: number) => boolean,
  ): void {
    if (this.#leaves.length === 0) return;
    let index = this.#leafFor(from);
    let start = this.#lowerBound(this.#leaves[index]!, from);
    const lastIndex = to === null ? this.#leaves.length - 1 : this.#leafFor(to);
    const lastStop = to === null ? this.#leaves[lastIndex]!.count : this.#lowerBound(this.#leaves[lastIndex]!, to);
    for (; index <= lastIndex; index++, start = 0) {
      const leaf = this.#leaves[index]!;
      if (!visit(leaf, start, index === lastIndex ? lastStop : leaf.count)) return;
    }
  }

  /** The leaf for `key`: the last one that does not start after it. */
  #leafFor(key: Uint8Array): number {
    let low = 0;
    let high = this.#leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#facts.compare(this.#leaves[middle]!.slots[0]!, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #lowerBound(leaf: Leaf, key: Uint8Array): number {
    let low = 0;
    let high = leaf.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#facts.compare(leaf.slots[middle]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #newLeaf(): Leaf {
    const id = this.#freeIds.pop() ?? this.#leafById.length;
    const leaf = { id, slots: new Uint32Array(leafCapacity), count: 0, live: 0, changedAt: 0 };
    this.#leafById[id] = leaf;
    return leaf;
  }

  #insertAt(leaf: Leaf, place: number, slot: number): void {
    leaf.slots.copyWithin(place + 1, place, leaf.count);
    leaf.slots[place] = slot;
    leaf.count++;
    if (slot >= this.#leafOfSlot.length) {
      this.#leafOfSlot = grown(this.#leafOfSlot, new Uint32Array(Math.ceil(Math.max(slot + 1, slot * 1.5))));
    }
    this.#leafOfSlot[slot] = leaf.id;
  }

  /** Splits a leaf at `at` and returns the rest as a new leaf. */
  #splitLeaf(leaf: Leaf, at: number): Leaf {
    const right = this.#newLeaf();
    right.changedAt = leaf.changedAt;
    this.#moveInto(right, leaf.slots.subarray(at, leaf.count));
    leaf.count = at;
    leaf.live -= right.live;
    return right;
  }

  #moveInto(target: Leaf, slots: Uint32Array): void {
    target.slots.set(slots, target.count);
    target.count += slots.length;
    for (const slot of slots) {
      this.#leafOfSlot[slot] = target.id;
      if (this.#facts.isLive(slot)) target.live++;
    }
  }

  #rebalance(index: number): void {
    const leaf = this.#leaves[index]!;
    if (leaf.count === 0) {
      this.#dropLeaf(index);
      return;
    }
    const next = this.#leaves[index + 1];
    if (next === undefined || leaf.count + next.count > mergeBelow) return;
    leaf.changedAt = Math.max(leaf.changedAt, next.changedAt);
    this.#moveInto(leaf, next.slots.subarray(0, next.count));
    this.#dropLeaf(index + 1);
  }

  #dropLeaf(index: number): void {
    const [dropped] = this.#leaves.splice(index, 1);
    this.#leafById[dropped!.id] = undefined;
    this.#freeIds.push(dropped!.id);
  }
}
