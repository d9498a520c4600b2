/**
 * Sorts slots by their keys, one word of a few bytes at a time: the words are read once, each packed into one number
 * with the slot's position, and sorted as plain numbers; only keys with equal words are compared further. Comparing
 * whole keys instead takes most of the opening time of a million keys, since neighbors in memory are not neighbors in
 * order and all keys have common prefixes.
 */
import { assert } from "../../../base/assert.ts";

const base = 257;
/**
 * A word and a position share the 53 bits of an exact number, so many positions need short words. Powers of two divide
 * exactly.
 */
const longWordBytes = 4;
const longWordPlaces = 2 ** 20;
const shortWordBytes = 3;
const shortWordPlaces = 2 ** 28;

/**
 * Returns `count` bytes of a slot's key from `depth` on as one number: base 257, each byte plus one, 0 after the end.
 */
export type WordAt = (slot: number, depth: number, count: number) => number;

/** Reads a word from `bytes`, where a key is at `offset`. */
export function keyWord(bytes: Uint8Array, offset: number, length: number, depth: number, count: number): number {
  let word = 0;
  for (let i = depth; i < depth + count; i++) word = word * base + (i < length ? bytes[offset + i]! + 1 : 0);
  return word;
}

/** Sorts in place; no two keys may be equal. */
export function sortSlots(slots: Uint32Array, wordAt: WordAt): void {
  assert(slots.length < shortWordPlaces, "a store holds fewer than 2^28 keys");
  const packed = new Float64Array(slots.length);
  const sorted = new Uint32Array(slots.length);
  const pending = [{ start: 0, end: slots.length, depth: 0 }];
  for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
    const { start, end, depth } = part;
    const count = end - start;
    const [wordBytes, places] =
      count < longWordPlaces ? [longWordBytes, longWordPlaces] : [shortWordBytes, shortWordPlaces];
    if (!pack(slots, part, packed, (slot) => wordAt(slot, depth, wordBytes) * places)) {
      if (count > 1) pending.push({ start, end, depth: depth + wordBytes });
      continue;
    }
    packed.subarray(0, count).sort();
    for (let i = 0; i < count; i++) {
      const place = packed[i]! - Math.floor(packed[i]! / places) * places;
      sorted[i] = slots[start + place]!;
    }
    slots.set(sorted.subarray(0, count), start);
    for (let from = 0; from < count; ) {
      const wordEnd = (Math.floor(packed[from]! / places) + 1) * places;
      let to = from + 1;
      while (to < count && packed[to]! < wordEnd) to++;
      if (to - from > 1) pending.push({ start: start + from, end: start + to, depth: depth + wordBytes });
      from = to;
    }
  }
}

/** Packs each slot's scaled word plus its position; false when all words are the same. */
function pack(
  slots: Uint32Array,
  { start, end }: { readonly start: number; readonly end: number },
  packed: Float64Array,
  scaledWord: (slot: number) => number,
): boolean {
  if (end === start) return false;
  const first = scaledWord(slots[start]!);
  let differs = false;
  for (let at = start; at < end; at++) {
    const word = scaledWord(slots[at]!);
    if (word !== first) differs = true;
    packed[at - start] = word + (at - start);
  }
  return differs;
}
