/**
 * A revision's key on disk, in etcd's encoding: big-endian main, `_`, big-endian sub, and a `t` after a tombstone's.
 * Byte order is revision order.
 */
const two32 = 0x1_0000_0000;
const separator = 0x5f;
const tombstoneMark = 0x74;

export const revisionKeyLength = 17;

/** Writes a revision key into `target` and returns its length: 17, or 18 for a tombstone. */
export function writeRevisionKey(target: Uint8Array, main: number, sub: number, tombstone: boolean): number {
  writeBigEndian(target, 0, main);
  target[8] = separator;
  writeBigEndian(target, 9, sub);
  if (!tombstone) return revisionKeyLength;
  target[revisionKeyLength] = tombstoneMark;
  return revisionKeyLength + 1;
}

/** A revision key in a new buffer. */
export function encodeRevisionKey(main: number, sub: number, tombstone = false): Uint8Array {
  const key = new Uint8Array(tombstone ? revisionKeyLength + 1 : revisionKeyLength);
  writeRevisionKey(key, main, sub, tombstone);
  return key;
}

export function mainOf(key: Uint8Array): number {
  return readBigEndian(key, 0);
}

export function subOf(key: Uint8Array): number {
  return readBigEndian(key, 9);
}

export function isTombstone(key: Uint8Array): boolean {
  return key.length > revisionKeyLength;
}

/** Writes a safe integer ≥ 0 as eight bytes. */
export function writeBigEndian(target: Uint8Array, offset: number, value: number): void {
  writeUint32(target, offset, Math.floor(value / two32));
  writeUint32(target, offset + 4, value >>> 0);
}

export function readBigEndian(bytes: Uint8Array, offset: number): number {
  return readUint32(bytes, offset) * two32 + readUint32(bytes, offset + 4);
}

function writeUint32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value >>> 24;
  target[offset + 1] = value >>> 16;
  target[offset + 2] = value >>> 8;
  target[offset + 3] = value;
}

function readUint32(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! * 0x100_0000 + ((bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!);
}
