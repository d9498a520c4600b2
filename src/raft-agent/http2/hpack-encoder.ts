/**
 * HPACK encoding of responses. The server sends the same few fields repeatedly: those "indexed" fields are put into
 * the peer's dynamic table on first use and take one byte from then on; everything else is a literal that touches no
 * table, so that a block encoded now may be sent later.
 */
import { staticNames, staticValues } from "./hpack-static-table.ts";

/**
 * A field kept in the dynamic table. `slot` is its position in the list given to the encoder; a field that is complete
 * in the static table needs no slot, its `literal` is the static index.
 */
export type IndexedField = {
  readonly slot: number;
  readonly literal: Buffer;
  readonly tableBytes: number;
  readonly isStatic: boolean;
};

/** Assigns slots to the fields and precomputes their bytes. Pass the result to every encoder of the server. */
export function indexedFields(fields: readonly (readonly [name: string, value: string])[]): readonly IndexedField[] {
  return fields.map(([name, value], slot) => {
    const index = staticNames.findIndex((staticName, i) => staticName === name && staticValues[i] === value);
    if (index > 0) return { slot, literal: Buffer.of(0x80 | index), tableBytes: 0, isStatic: true };
    const literal = encodeLiteral(name, value, 0x40, 6);
    return { slot, literal, tableBytes: name.length + value.length + 32, isStatic: false };
  });
}

/** Enough for any indexed field, as a literal or as an index. */
export const indexedFieldBytesMax = 128;

/** A smaller table is not used at all; indexed fields must fit in it. */
const smallestTableBytes = 512;

export class HpackEncoder {
  /** For each slot, the number of insertions before its own; -1 when it is not in the table. */
  readonly #insertedAt: Int32Array;
  #insertions = 0;
  #tableMaxBytes = 4096;
  #announceResize = false;

  constructor(fields: readonly IndexedField[]) {
    if (fields.reduce((sum, field) => sum + field.tableBytes, 0) > smallestTableBytes)
      throw new RangeError(
        `Indexed header fields take more than ${smallestTableBytes} bytes: use fewer or shorter ones`,
      );
    this.#insertedAt = new Int32Array(fields.length).fill(-1);
  }

  /**
   * The peer's SETTINGS_HEADER_TABLE_SIZE. Ours only ever shrinks, so one update in the next block suffices (RFC 7541
   * §4.2).
   */
  limitTable(bytes: number): void {
    if (bytes >= this.#tableMaxBytes) return;
    this.#tableMaxBytes = bytes < smallestTableBytes ? 0 : bytes;
    this.#announceResize = true;
    if (this.#tableMaxBytes === 0) this.#insertedAt.fill(-1);
  }

  /** Starts a block that is sent at once: writes a pending table size update. At most 4 bytes. */
  begin(target: Uint8Array, at: number): number {
    if (!this.#announceResize) return at;
    this.#announceResize = false;
    return writeInteger(target, at, 0x20, 5, this.#tableMaxBytes);
  }

  /** Writes an indexed field into a block that is sent at once, and returns the offset after it. */
  writeIndexed(target: Uint8Array, at: number, field: IndexedField): number {
    const inserted = this.#insertedAt[field.slot]!;
    if (inserted >= 0) {
      target[at] = 0x80 | (62 + this.#insertions - inserted - 1);
      return at + 1;
    }
    if (this.#tableMaxBytes === 0 && !field.isStatic) return writeUnindexed(target, at, field);
    target.set(field.literal, at);
    if (field.isStatic) return at + field.literal.length;
    this.#insertedAt[field.slot] = this.#insertions++;
    return at + field.literal.length;
  }
}

/** The same literal as "without indexing" (RFC 7541 §6.2.2): the name's index then has a prefix of 4 bits, not 6. */
function writeUnindexed(target: Uint8Array, at: number, field: IndexedField): number {
  const nameIndex = field.literal[0]! & 0x3f;
  const next = writeInteger(target, at, 0, 4, nameIndex);
  target.set(field.literal.subarray(1), next);
  return next + field.literal.length - 1;
}

/** Writes an integer with an N-bit prefix (RFC 7541 §5.1) under the given pattern bits. */
export function writeInteger(target: Uint8Array, at: number, pattern: number, prefixBits: number, n: number): number {
  const prefixMax = (1 << prefixBits) - 1;
  if (n < prefixMax) {
    target[at] = pattern | n;
    return at + 1;
  }
  target[at] = pattern | prefixMax;
  let rest = n - prefixMax;
  let next = at + 1;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) target[next++] = (rest & 0x7f) | 0x80;
  target[next] = rest;
  return next + 1;
}

function encodeLiteral(name: string, value: string, pattern: number, prefixBits: number): Buffer {
  const nameIndex = Math.max(0, staticNames.indexOf(name));
  const target = Buffer.alloc(16 + name.length + value.length);
  let at = writeInteger(target, 0, pattern, prefixBits, nameIndex);
  if (nameIndex === 0) at = writeString(target, at, name);
  return target.subarray(0, writeString(target, at, value));
}

function writeString(target: Buffer, at: number, text: string): number {
  const next = writeInteger(target, at, 0, 7, text.length);
  return next + target.write(text, next, "latin1");
}

/** A whole block of literals without indexing (RFC 7541 §6.2.2): stateless, may be sent at any time. */
export function encodeStateless(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.map(([name, value]) => encodeLiteral(name, value, 0, 4)));
}
