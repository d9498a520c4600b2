/** Mutates valid bytes. Every draw comes from the given source, so that a seed reproduces a finding. */
import type { Random } from "../../src/base/random.ts";

/** Values at which length fields and counters overflow. */
const edges = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff];

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.below(choices.length)]!;
}

export function chance(random: Random, oneIn: number): boolean {
  return random.below(oneIn) === 0;
}

export function randomBytes(random: Random, max: number): Buffer {
  return Buffer.from(Array.from({ length: random.below(max + 1) }, () => random.below(256)));
}

/** The bytes with one to four small changes, from `from` on. */
export function mutateBytes(random: Random, bytes: Uint8Array, from = 0): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let times = 1 + random.below(4); times > 0 && changed.length > from; times--) {
    changed = mutateOnce(random, changed, from + random.below(changed.length - from));
  }
  return changed;
}

function mutateOnce(random: Random, bytes: Buffer, at: number): Buffer {
  const length = 1 + random.below(Math.min(16, bytes.length - at));
  switch (random.below(7)) {
    case 0:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      bytes[at] = pick(random, edges);
      return bytes;
    case 2:
      bytes.fill(pick(random, edges), at, at + length);
      return bytes;
    case 3:
      return Buffer.concat([bytes.subarray(0, at), randomBytes(random, 16), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    default:
      return bytes.subarray(0, at);
  }
}

/** The pieces with one dropped, duplicated, swapped with another, or mutated. */
export function mutatePieces(random: Random, pieces: readonly Buffer[]): Buffer[] {
  const changed = [...pieces];
  if (changed.length === 0) return changed;
  const [at, other] = [random.below(changed.length), random.below(changed.length)];
  switch (random.below(5)) {
    case 0:
      changed.splice(at, 1);
      break;
    case 1:
      changed.splice(at, 0, changed[at]!);
      break;
    case 2:
      [changed[at], changed[other]] = [changed[other]!, changed[at]!];
      break;
    default:
      changed[at] = mutateBytes(random, changed[at]!);
  }
  return changed;
}
