/**
 * The records in one file of etcd's log. Source: etcd server/storage/wal, encoder.go and decoder.go: each record has its length
 * in 64 little-endian bits (the highest byte: 0x80 and the number of bytes of padding), then `walpb.Record` with a CRC-32C of
 * the data of all records before it and its own.
 */
import { crc32c } from "../base/crc32c.ts";
import { emptyBytes, WireError, WireReader, WireWriter } from "../raft-agent/api/wire.ts";

export const RecordType = { metadata: 1, entry: 2, state: 3, crc: 4, snapshot: 5 } as const;

export type WalRecord = { readonly type: number; readonly data: Uint8Array };

/** How the records of a file end. */
export type RecordsEnd = {
  /** Where the next record would begin. */
  readonly offset: number;
  /** Of all data up to there. */
  readonly crc: number;
  /** What is wrong there; null where the records end as they should. */
  readonly fault: { readonly text: string; readonly torn: boolean } | null;
};

const lengthBytes = 8;
const sectorBytes = 512;

/** Calls `take` for each record, and returns how they end. `crc` is that of the file before. */
export function readRecords(bytes: Buffer, crc: number, take: (record: WalRecord) => void): RecordsEnd {
  let offset = 0;
  let sum = crc;
  const faultAt = (text: string, torn: boolean): RecordsEnd => ({
    offset,
    crc: sum,
    fault: { text: `byte ${offset}: ${text}`, torn },
  });
  for (;;) {
    if (offset + lengthBytes > bytes.length || isZero(bytes, offset, offset + lengthBytes))
      return { offset, crc: sum, fault: null };
    const length = bytes.readUIntLE(offset, 6) + bytes[offset + 6]! * 2 ** 48;
    const padding = paddingOf(length);
    // Lengths lie in one sector each: a crash leaves them whole.
    if (bytes[offset + 7] !== (padding === 0 ? 0 : 0x80 | padding)) return faultAt("a length is impossible", false);
    const [begin, end] = [offset + lengthBytes, offset + lengthBytes + length + padding];
    if (end > bytes.length) return faultAt("a record is longer than the file", true);
    try {
      const record = decodeRecord(bytes, begin, begin + length);
      // The first one of a file continues the sum of the file before; the oldest file that is left has none before it.
      if (record.type === RecordType.crc) {
        if (sum !== 0 && sum !== record.crc)
          return faultAt("the checksum does not continue that of the file before", false);
        sum = record.crc;
      } else {
        const found = crc32c(record.data, 0, record.data.length, sum);
        if (found !== record.crc) return faultAt("the checksum is wrong", isTorn(bytes, begin, begin + length));
        sum = found;
        take(record);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return faultAt(error.message, isTorn(bytes, begin, begin + length));
    }
    offset = end;
  }
}

/** One record as etcd would append it, behind data with the checksum `crc`. */
export function encodeRecord(type: number, data: Uint8Array, crc: number): Buffer {
  const writer = new WireWriter();
  writer.intField(8, type);
  writer.intField(16, crc32c(data, 0, data.length, crc));
  writer.bytesField(26, data);
  const record = writer.view();
  const padding = paddingOf(record.length);
  const bytes = Buffer.alloc(lengthBytes + record.length + padding);
  bytes.writeUIntLE(record.length, 0, 6);
  if (padding > 0) bytes[7] = 0x80 | padding;
  bytes.set(record, lengthBytes);
  return bytes;
}

const paddingOf = (length: number): number => (8 - (length % 8)) % 8;

function decodeRecord(bytes: Buffer, begin: number, end: number): WalRecord & { readonly crc: number } {
  const reader = new WireReader(bytes, begin, end);
  let [type, crc]: [number, number] = [0, 0];
  let data = emptyBytes;
  while (reader.offset < end) {
    const tag = reader.tag();
    if (tag === 8) type = reader.int64();
    else if (tag === 16) crc = reader.uint64() >>> 0;
    else if (tag === 26) data = reader.view();
    else reader.skip(tag, 3);
  }
  reader.finish(end);
  return { type, crc, data };
}

/** A crash may have left out whole sectors of a record's bytes (etcd: `isTornEntry`). */
function isTorn(bytes: Buffer, begin: number, end: number): boolean {
  for (let at = begin; at < end; ) {
    const next = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (isZero(bytes, at, next)) return true;
    at = next;
  }
  return false;
}

function isZero(bytes: Buffer, begin: number, end: number): boolean {
  for (let at = begin; at < end; at += 1) if (bytes[at] !== 0) return false;
  return true;
}
