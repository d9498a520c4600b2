/**
 * Slots in key order: a B+tree of two levels, whose upper level is one plain list of leaves (a few thousand for a
 * million keys). A leaf is a packed array of slot numbers.
 */
import { assert } from "../../base/assert.ts";

const leafCapacity = 512;
/** Neighbours that together hold fewer are merged. */
const mergeBelow = leafCapacity / 2;

type Leaf = { slots: Uint32Array; count: number };

/** Compares the key of a slot with the key that is looked for. */
export type SlotCompare = (slot: number, key: Uint8Array) => number;

export class OrderedSlots {
  private readonly leaves: Leaf[] = [];
  private readonly compare: SlotCompare;
  size = 0;

  constructor(compare: SlotCompare) {
    this.compare = compare;
  }

  /** Adds a slot whose key is `key`, which must not be there yet. */
  add(key: Uint8Array, slot: number): void {
    this.size++;
    if (this.leaves.length === 0) this.leaves.push({ slots: new Uint32Array(leafCapacity), count: 0 });
    const index = this.leafFor(key);
    const leaf = this.leaves[index]!;
    const place = this.lowerBound(leaf, key);
    if (leaf.count < leafCapacity) {
      insertAt(leaf, place, slot);
      return;
    }
    // A leaf that grows at its very end is split there, so that ascending keys leave full leaves behind.
    const last = index === this.leaves.length - 1 && place === leaf.count;
    const right = splitLeaf(leaf, last ? leaf.count : leafCapacity / 2);
    this.leaves.splice(index + 1, 0, right);
    if (place > leaf.count || last) insertAt(right, place - leaf.count, slot);
    else insertAt(leaf, place, slot);
  }

  remove(key: Uint8Array): void {
    const index = this.leafFor(key);
    const leaf = this.leaves[index];
    assert(leaf !== undefined, "a removed key is in the index");
    const place = this.lowerBound(leaf, key);
    assert(place < leaf.count && this.compare(leaf.slots[place]!, key) === 0, "a removed key is in its leaf");
    leaf.slots.copyWithin(place, place + 1, leaf.count);
    leaf.count--;
    this.size--;
    this.rebalance(index);
  }

  /** Visits slots in key order from `from` up to, not including, `to` (null = to the end) until `visit` returns false. */
  forEach(from: Uint8Array, to: Uint8Array | null, visit: (slot: number) => boolean): void {
    if (this.leaves.length === 0) return;
    let index = this.leafFor(from);
    let place = this.lowerBound(this.leaves[index]!, from);
    const endIndex = to === null ? this.leaves.length - 1 : this.leafFor(to);
    const endPlace = to === null ? this.leaves[endIndex]!.count : this.lowerBound(this.leaves[endIndex]!, to);
    for (; index <= endIndex; index++, place = 0) {
      const { slots, count } = this.leaves[index]!;
      const stop = index === endIndex ? endPlace : count;
      for (; place < stop; place++) if (!visit(slots[place]!)) return;
    }
  }

  /** Replaces everything by slots that are in key order already. */
  fill(sorted: Uint32Array): void {
    this.leaves.length = 0;
    for (let start = 0; start < sorted.length; start += leafCapacity) {
      const part = sorted.subarray(start, start + leafCapacity);
      const slots = new Uint32Array(leafCapacity);
      slots.set(part);
      this.leaves.push({ slots, count: part.length });
    }
    this.size = sorted.length;
  }

  get bytes(): number {
    return this.leaves.length * leafCapacity * 4;
  }

  /** The leaf whose keys surround `key`: the last one that does not begin after it. */
  private leafFor(key: Uint8Array): number {
    let low = 0;
    let high = this.leaves.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.compare(this.leaves[middle]!.slots[0]!, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private lowerBound(leaf: Leaf, key: Uint8Array): number {
    let low = 0;
    let high = leaf.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(leaf.slots[middle]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private rebalance(index: number): void {
    const leaf = this.leaves[index]!;
    if (leaf.count === 0) {
      this.leaves.splice(index, 1);
      return;
    }
    const next = this.leaves[index + 1];
    if (next === undefined || leaf.count + next.count > mergeBelow) return;
    leaf.slots.set(next.slots.subarray(0, next.count), leaf.count);
    leaf.count += next.count;
    this.leaves.splice(index + 1, 1);
  }
}

function insertAt(leaf: Leaf, place: number, slot: number): void {
  leaf.slots.copyWithin(place + 1, place, leaf.count);
  leaf.slots[place] = slot;
  leaf.count++;
}

/** Cuts a leaf off at `at` and returns the rest as a leaf of its own. */
function splitLeaf(leaf: Leaf, at: number): Leaf {
  const slots = new Uint32Array(leafCapacity);
  slots.set(leaf.slots.subarray(at, leaf.count));
  const right = { slots, count: leaf.count - at };
  leaf.count = at;
  return right;
}
