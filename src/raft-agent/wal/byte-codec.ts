/**
 * Encodes fixed-width little-endian numbers, member ids and byte strings into one growing buffer, and decodes them
 * with bounds checks. Shared by all binary formats of haplan: log records, snapshot headers, peer frames.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";

const twoTo32 = 0x1_0000_0000;

/** Writes `value` (a safe, non-negative integer) as 8 little-endian bytes. */
export function putUint64(bytes: Uint8Array, at: number, value: number): void {
  putUint32(bytes, at, value % twoTo32);
  putUint32(bytes, at + 4, Math.floor(value / twoTo32));
}

export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function getUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** Exact up to 2^53 - 1; anything larger only occurs in damaged bytes, and readers check for it. */
export function getUint64(bytes: Uint8Array, at: number): number {
  return getUint32(bytes, at + 4) * twoTo32 + getUint32(bytes, at);
}

/** An independent copy of `bytes[start, end)`. (`slice` of a Buffer is a view, unlike that of other typed arrays.) */
export function copyBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): Uint8Array {
  const copy = new Uint8Array(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}

/** A growing buffer; `bytes` may be reallocated by every write, so take it only when done. */
export class ByteWriter {
  bytes: Uint8Array;
  /** Bytes written so far; may be lowered to drop what follows. */
  length = 0;

  constructor(capacity = 4096) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  uint8(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  uint16(value: number): void {
    this.reserve(2);
    this.bytes[this.length] = value;
    this.bytes[this.length + 1] = value >>> 8;
    this.length += 2;
  }

  uint32(value: number): void {
    this.reserve(4);
    putUint32(this.bytes, this.length, value);
    this.length += 4;
  }

  uint64(value: number): void {
    this.reserve(8);
    putUint64(this.bytes, this.length, value);
    this.length += 8;
  }

  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
  }

  /** 16 hex digits as 8 bytes, most significant first. */
  memberId(id: MemberId): void {
    this.uint32(swapBytes(Number.parseInt(id.slice(0, 8), 16)));
    this.uint32(swapBytes(Number.parseInt(id.slice(8), 16)));
  }

  memberIds(ids: readonly MemberId[]): void {
    this.uint32(ids.length);
    for (const id of ids) this.memberId(id);
  }

  /** The written bytes, without a copy: valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}

/** Reads `bytes[at, end)` forwards; reading past the end throws `codec/truncated`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  #take(count: number): number {
    const from = this.at;
    if (count > this.end - from) {
      throw new HaplanError("codec/truncated", `Cannot decode: need ${count} bytes, but only ${this.remaining} remain`);
    }
    this.at = from + count;
    return from;
  }

  uint8(): number {
    return this.bytes[this.#take(1)]!;
  }

  uint16(): number {
    const from = this.#take(2);
    return this.bytes[from]! | (this.bytes[from + 1]! << 8);
  }

  uint32(): number {
    return getUint32(this.bytes, this.#take(4));
  }

  uint64(): number {
    const value = getUint64(this.bytes, this.#take(8));
    if (value > Number.MAX_SAFE_INTEGER) {
      throw new HaplanError("codec/out-of-range", `Cannot decode: the number at byte ${this.at - 8} exceeds 2^53 - 1`);
    }
    return value;
  }

  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    const from = this.#take(count);
    return this.bytes.subarray(from, from + count);
  }

  memberId(): MemberId {
    const from = this.#take(8);
    const high = swapBytes(getUint32(this.bytes, from));
    const low = swapBytes(getUint32(this.bytes, from + 4));
    return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
  }

  memberIds(): MemberId[] {
    const count = this.uint32();
    if (count * 8 > this.remaining) {
      throw new HaplanError(
        "codec/truncated",
        `Cannot decode: a list of ${count} member ids does not fit into ${this.remaining} bytes`,
      );
    }
    return Array.from({ length: count }, () => this.memberId());
  }
}

function swapBytes(value: number): number {
  return ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
