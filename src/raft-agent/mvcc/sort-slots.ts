/**
 * Sorts slots by their keys, six bytes at a time: the six are read once into a number and only keys that agree in them
 * are looked at again, six further on. Comparing whole keys instead costs a million keys most of their opening time,
 * since neighbours in memory are not neighbours in order and all keys begin alike.
 */

/** Bytes in a word: 257^6 is the largest power of 257 below 2^53. */
const wordBytes = 6;

/** Gives six bytes of a slot's key from `depth` on as one number: base 257, each byte plus one, 0 behind the end. */
export type WordAt = (slot: number, depth: number) => number;

/** Reads a word from `bytes`, where a key lies at `offset`. */
export function keyWord(bytes: Uint8Array, offset: number, length: number, depth: number): number {
  let word = 0;
  for (let i = depth; i < depth + wordBytes; i++) word = word * 257 + (i < length ? bytes[offset + i]! + 1 : 0);
  return word;
}

/** Sorts in place; no two keys may be equal. */
export function sortSlots(slots: Uint32Array, slotLimit: number, wordAt: WordAt): void {
  const words = new Float64Array(slotLimit);
  const waiting = [{ start: 0, end: slots.length, depth: 0 }];
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    const { start, end, depth } = part;
    const sorted = slots.subarray(start, end);
    for (const slot of sorted) words[slot] = wordAt(slot, depth);
    sorted.sort((a, b) => words[a]! - words[b]!);
    for (let from = start; from < end; ) {
      const word = words[slots[from]!]!;
      let to = from + 1;
      while (to < end && words[slots[to]!] === word) to++;
      if (to - from > 1) waiting.push({ start: from, end: to, depth: depth + wordBytes });
      from = to;
    }
  }
}
