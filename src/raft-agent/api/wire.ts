/**
 * The protobuf wire format, to the extent that the hot messages need it. A reader walks over bytes it does not own and
 * allocates nothing but views; a writer appends to a growing buffer that is reused. Counting integers (revisions,
 * versions, limits) are `number`: values outside ±(2^53 - 1) are clamped, which keeps them "far in the future" or
 * "below zero". Identities (leases, members) are `bigint` and exact. Source: protobuf.dev, "Encoding".
 */

/** Thrown for every kind of malformed input: truncated, overlong, wrong wire type, nested too deep. */
export class WireError extends Error {
  override readonly name = "WireError";
}

export const emptyBytes: Uint8Array = new Uint8Array(0);

/**
 * The maximum nesting depth of messages (and unknown groups); deeper input is rejected instead of overflowing the
 * stack.
 */
export const maxNestingDepth = 100;

const two32 = 0x1_0000_0000;
const textDecoder = new TextDecoder("utf-8", { fatal: true });
const textEncoder = new TextEncoder();

export class WireReader {
  readonly bytes: Uint8Array;
  /** The offset of the next read; message readers stop at their own end. */
  offset: number;
  readonly #limit: number;
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.#limit = end;
  }

  /** Reads a field's tag: number × 8 + wire type. */
  tag(): number {
    const first = this.#byte();
    if (first < 0x80) {
      if (first < 8) throw new WireError("field number 0 is not allowed");
      return first;
    }
    this.offset--;
    this.#varint();
    if (this.#high !== 0 || this.#low < 8) throw new WireError("field number is out of range");
    return this.#low;
  }

  /** Reads the length of a nested message and returns its end. */
  nestedEnd(): number {
    const length = this.int64();
    const end = this.offset + length;
    if (length < 0 || end > this.#limit) throw new WireError(`length ${length} runs past the end of the message`);
    return end;
  }

  /** Call when all fields of a message are read: rejects a field that ran past its message. */
  finish(end: number): void {
    if (this.offset !== end) throw new WireError("a field runs past the end of its message");
  }

  /** A view into the input, valid as long as the input is. */
  view(): Uint8Array {
    const end = this.nestedEnd();
    const start = this.offset;
    this.offset = end;
    return start === end ? emptyBytes : this.bytes.subarray(start, end);
  }

  string(): string {
    const bytes = this.view();
    try {
      return textDecoder.decode(bytes);
    } catch {
      throw new WireError("a string is not valid UTF-8");
    }
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  /** An enum or int32; unknown values are kept, as proto3 requires. */
  int32(): number {
    this.#varint();
    return this.#low | 0;
  }

  /** A signed 64-bit integer, clamped to the safe integers. */
  int64(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    this.offset--;
    this.#varint();
    const value = (this.#high | 0) * two32 + this.#low;
    if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
    return Math.max(value, Number.MIN_SAFE_INTEGER);
  }

  /** An unsigned 64-bit integer, clamped to the safe integers. */
  uint64(): number {
    this.#varint();
    const value = this.#high * two32 + this.#low;
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  }

  bigInt64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return (BigInt(this.#high | 0) << 32n) | BigInt(this.#low);
  }

  bigUint64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /**
   * Skips an unknown field. A number up to `knownUpTo` is a known field with the wrong wire type: rejected, as in
   * etcd.
   */
  skip(tag: number, knownUpTo: number): void {
    if (tag >>> 3 <= knownUpTo) throw new WireError(`wrong wire type ${tag & 7} for field ${tag >>> 3}`);
    this.#skipValue(tag, 0);
  }

  #skipValue(tag: number, depth: number): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.offset = this.nestedEnd();
        return;
      case 3:
        this.#skipGroup(tag >>> 3, depth + 1);
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new WireError(`wire type ${tag & 7} is not allowed here`);
    }
  }

  #skipGroup(number: number, depth: number): void {
    if (depth > maxNestingDepth) throw new WireError("groups nest too deep");
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) !== 4) this.#skipValue(tag, depth);
      else if (tag >>> 3 === number) return;
      else throw new WireError("a group ends that was not started");
    }
  }

  #advance(count: number): void {
    if (this.offset + count > this.#limit) throw new WireError("the message is truncated");
    this.offset += count;
  }

  #byte(): number {
    if (this.offset >= this.#limit) throw new WireError("the message is truncated");
    return this.bytes[this.offset++]!;
  }

  /** Reads a varint of at most ten bytes into `low` and `high`, both unsigned. */
  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#keep(low, 0);
        return;
      }
    }
    let byte = this.#byte();
    low |= (byte & 0x0f) << 28;
    high = (byte & 0x70) >> 4;
    if (byte < 0x80) {
      this.#keep(low, high);
      return;
    }
    for (let shift = 3; shift < 31; shift += 7) {
      byte = this.#byte();
      high |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#keep(low, high);
        return;
      }
    }
    byte = this.#byte();
    if (byte > 1) throw new WireError("a varint is longer than 64 bits");
    this.#keep(low, high | (byte << 31));
  }

  #keep(low: number, high: number): void {
    this.#low = low >>> 0;
    this.#high = high >>> 0;
  }
}

export class WireWriter {
  #bytes: Uint8Array;
  /** Bytes written since the last reset. */
  length = 0;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
  }

  reset(): void {
    this.length = 0;
  }

  /** The written bytes, as a view that the next write or reset may change. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /** The written bytes, as an independent copy. */
  copy(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  /** Drops a buffer that one large message has enlarged, so that a pooled writer does not keep it forever. */
  shrink(capacityMax: number): void {
    if (this.#bytes.length > capacityMax) this.#bytes = new Uint8Array(512);
    this.length = 0;
  }

  /** Raw bytes that are already encoded. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  tag(tag: number): void {
    this.#reserve(5);
    this.#varint32(tag);
  }

  /** A bytes field (or an encoded nested message), written even when empty. */
  bytesField(tag: number, value: Uint8Array): void {
    this.#reserve(10 + value.length);
    this.#varint32(tag);
    this.#varint32(value.length);
    const target = this.#bytes;
    const start = this.length;
    if (value.length < 24) for (let i = 0; i < value.length; i++) target[start + i] = value[i]!;
    else target.set(value, start);
    this.length = start + value.length;
  }

  /** A bytes field, omitted when empty (proto3 default). */
  bytesUnlessEmpty(tag: number, value: Uint8Array): void {
    if (value.length > 0) this.bytesField(tag, value);
  }

  stringUnlessEmpty(tag: number, value: string): void {
    if (value.length > 0) this.bytesField(tag, textEncoder.encode(value));
  }

  boolUnlessFalse(tag: number, value: boolean): void {
    if (value) this.intField(tag, 1);
  }

  intUnlessZero(tag: number, value: number): void {
    if (value !== 0) this.intField(tag, value);
  }

  /** An int32, int64 or enum field, written even when zero. `value` is a safe integer. */
  intField(tag: number, value: number): void {
    this.#reserve(5);
    this.#varint32(tag);
    this.int(value);
  }

  /** An integer without a tag, as in a packed list. */
  int(value: number): void {
    this.#reserve(10);
    if (value >= 0 && value < two32) this.#varint32(value);
    else this.#varint64(value >>> 0, Math.floor(value / two32) >>> 0);
  }

  bigIntUnlessZero(tag: number, value: bigint): void {
    if (value !== 0n) this.bigIntField(tag, value);
  }

  /** An int64 or uint64 field, written even when zero. */
  bigIntField(tag: number, value: bigint): void {
    this.#reserve(15);
    this.#varint32(tag);
    this.#varint64(Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
  }

  /** Begins a nested message; pass the result to `endNested`. */
  beginNested(tag: number): number {
    this.#reserve(6);
    this.#varint32(tag);
    return ++this.length;
  }

  /** Ends a nested message: its length is written to the reserved byte; the body is moved when one byte is too few. */
  endNested(start: number): void {
    const size = this.length - start;
    if (size < 0x80) {
      this.#bytes[start - 1] = size;
      return;
    }
    const extra = size < 0x4000 ? 1 : size < 0x20_0000 ? 2 : size < 0x1000_0000 ? 3 : 4;
    this.#reserve(extra);
    this.#bytes.copyWithin(start + extra, start, this.length);
    this.length = start - 1;
    this.#varint32(size);
    this.length = start + extra + size;
  }

  #varint32(value: number): void {
    const bytes = this.#bytes;
    let rest = value;
    while (rest > 0x7f) {
      bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[this.length++] = rest;
  }

  #varint64(low: number, high: number): void {
    let lowRest = low;
    let highRest = high;
    while (highRest !== 0) {
      this.#bytes[this.length++] = (lowRest & 0x7f) | 0x80;
      lowRest = ((lowRest >>> 7) | (highRest << 25)) >>> 0;
      highRest >>>= 7;
    }
    this.#varint32(lowRest);
  }

  #reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }
}

const pooledCapacityMax = 1 << 20;
const pool: WireWriter[] = [];

/** Encodes one message with a pooled writer and returns an independent copy. */
export function encodeMessage<Message>(
  write: (writer: WireWriter, message: Message) => void,
  message: Message,
): Uint8Array {
  const writer = pool.pop() ?? new WireWriter();
  try {
    write(writer, message);
    return writer.copy();
  } finally {
    writer.shrink(pooledCapacityMax);
    pool.push(writer);
  }
}

/**
 * Decodes one whole message.
 * @throws WireError when the bytes are not one.
 */
export function decodeMessage<Message>(read: (reader: WireReader, end: number) => Message, bytes: Uint8Array): Message {
  return read(new WireReader(bytes), bytes.length);
}
