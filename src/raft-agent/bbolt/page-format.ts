/**
 * The encoding of bbolt's pages (go.etcd.io/bbolt, page.go and bucket.go), all numbers little-endian:
 *
 * ```
 * page    id u64 | flags u16 | element count u16 | overflow pages u32 | elements | keys and values
 * leaf    flags u32 | position u32 | key length u32 | value length u32       position counts from the element itself
 * branch  position u32 | key length u32 | child page u64
 * bucket  root page u64 (0 = the page follows inline) | sequence u64          the value of an element with the bucket
 * flag
 * ```
 */
import { HaplanError } from "../../base/haplan-error.ts";

/** The page size of etcd's machines; a file contains its own. */
export const defaultPageBytes = 4096;
export const pageHeaderBytes = 16;
export const elementBytes = 16;
export const bucketHeaderBytes = 16;
/** bbolt's own limit for keys. */
export const keyBytesMax = 32_768;

export const PageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
/** In a leaf element's flags: the value is a bucket. */
export const bucketElementFlag = 0x01;

const two32 = 0x1_0000_0000;

/** Page ids stay below 2^53: no file is that long. */
export function writePageHeader(target: Buffer, id: number, flags: number, count: number, overflow: number): void {
  writeUint64(target, 0, id);
  target.writeUInt16LE(flags, 8);
  target.writeUInt16LE(count, 10);
  target.writeUInt32LE(overflow, 12);
}

export function writeUint64(target: Buffer, offset: number, value: number): void {
  target.writeUInt32LE(value % two32, offset);
  target.writeUInt32LE(Math.floor(value / two32), offset + 4);
}

/** Beyond 2^53 the result is not exact, but still too large for anything it could name. */
export function readUint64(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * two32 + bytes.readUInt32LE(offset);
}

/** The error for a file that bbolt would not have written. */
export function damagedDatabase(what: string): HaplanError {
  return new HaplanError("bbolt/damaged", `The database file is damaged: ${what}`);
}
