/**
 * Maps a key's hash to its slot: open addressing with linear probing in 256 segments that grow one by one, so that no
 * insertion waits for more than a 256th of the table to be moved.
 */
const segmentCount = 256;

export class SlotHash {
  /** Entries are slot + 1; 0 is free. */
  readonly #segments: Uint32Array[] = [];
  readonly #counts = new Uint32Array(segmentCount);
  readonly #hashOf: (slot: number) => number;

  /** `hashOf` returns the hash of a slot that is in the table. */
  constructor(hashOf: (slot: number) => number) {
    this.#hashOf = hashOf;
    for (let i = 0; i < segmentCount; i++) this.#segments.push(new Uint32Array(8));
  }

  /** The slot with this hash for which `matches` holds, or -1. */
  find(hash: number, matches: (slot: number) => boolean): number {
    const segment = this.#segments[hash & (segmentCount - 1)]!;
    const mask = segment.length - 1;
    for (let place = (hash >>> 8) & mask; ; place = (place + 1) & mask) {
      const entry = segment[place]!;
      if (entry === 0) return -1;
      if (this.#hashOf(entry - 1) === hash && matches(entry - 1)) return entry - 1;
    }
  }

  add(hash: number, slot: number): void {
    const index = hash & (segmentCount - 1);
    if ((this.#counts[index]! + 1) * 4 > this.#segments[index]!.length * 3) this.#growSegment(index);
    insert(this.#segments[index]!, hash, slot + 1);
    this.#counts[index]!++;
  }

  /** Removes a slot and closes the gap, so that later probes still find what was after it. */
  remove(hash: number, slot: number): void {
    const index = hash & (segmentCount - 1);
    const segment = this.#segments[index]!;
    const mask = segment.length - 1;
    let gap = (hash >>> 8) & mask;
    while (segment[gap] !== slot + 1) gap = (gap + 1) & mask;
    for (let place = (gap + 1) & mask; segment[place] !== 0; place = (place + 1) & mask) {
      const home = (this.#hashOf(segment[place]! - 1) >>> 8) & mask;
      // The entry may fill the gap unless its home is between the gap and itself.
      if (((place - home) & mask) < ((place - gap) & mask)) continue;
      segment[gap] = segment[place]!;
      gap = place;
    }
    segment[gap] = 0;
    this.#counts[index]!--;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.byteLength, 0);
  }

  #growSegment(index: number): void {
    const old = this.#segments[index]!;
    const larger = new Uint32Array(old.length * 2);
    for (const entry of old) if (entry !== 0) insert(larger, this.#hashOf(entry - 1), entry);
    this.#segments[index] = larger;
  }
}

function insert(segment: Uint32Array, hash: number, entry: number): void {
  const mask = segment.length - 1;
  let place = (hash >>> 8) & mask;
  while (segment[place] !== 0) place = (place + 1) & mask;
  segment[place] = entry;
}

/** MurmurHash3 (Appleby, public domain), 32 bits, seed 0. */
export function hashBytes(bytes: Uint8Array): number {
  let hash = 0;
  const blocks = bytes.length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    const block = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    hash ^= scramble(block);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= blocks; i--) tail = (tail << 8) | bytes[i]!;
  hash ^= scramble(tail) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}
