/** Encodes the header of a segment file and the frame around a batch, byte for byte as drawn in README.md. */

import { crc32c } from "../../base/crc32c.ts";
import { ByteReader, ByteWriter, copyBytes, getUint32, getUint64, putUint32, putUint64 } from "./byte-codec.ts";

export const logFormatVersion = 1;
/**
 * One sector: the header is written and synced before the segment is renamed to its final name, so it is never torn.
 */
export const segmentHeaderBytes = 512;
export const metadataBytesMax = 256;
export const segmentBytesMin = 4096;
/** The unit that a disk writes or loses as a whole. */
export const sectorBytes = 512;

const segmentMagic = Buffer.from("haplaLOG");

export type SegmentHeader = {
  /** Increments by one from segment to segment, from 1. */
  readonly number: number;
  /** Drawn once per log; ties every batch to it. Two 32-bit halves, so that no precision is lost. */
  readonly logId: LogId;
  readonly segmentBytes: number;
  readonly metadata: Uint8Array;
};

export type LogId = { readonly high: number; readonly low: number };

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const writer = new ByteWriter(segmentHeaderBytes);
  writer.bytes.fill(0);
  writer.raw(segmentMagic);
  writer.uint32(0);
  writer.uint32(logFormatVersion);
  writer.uint64(header.number);
  writer.uint32(header.logId.low);
  writer.uint32(header.logId.high);
  writer.uint64(header.segmentBytes);
  writer.uint32(header.metadata.length);
  writer.raw(header.metadata);
  putUint32(writer.bytes, 8, crc32c(writer.bytes, 12, segmentHeaderBytes));
  return writer.bytes;
}

/** The header; the reason why it is invalid; or the version of a format that only a newer program reads. */
export function decodeSegmentHeader(
  bytes: Uint8Array,
): SegmentHeader | { readonly problem: string } | { readonly newerVersion: number } {
  if (bytes.length < segmentHeaderBytes)
    return { problem: `only ${bytes.length} bytes of the ${segmentHeaderBytes} of its header` };
  if (!segmentMagic.equals(bytes.subarray(0, 8))) return { problem: "no segment header" };
  if (getUint32(bytes, 8) !== crc32c(bytes, 12, segmentHeaderBytes))
    return { problem: "a header with a wrong checksum" };
  const version = getUint32(bytes, 12);
  if (version > logFormatVersion) return { newerVersion: version };
  if (version !== logFormatVersion) {
    return { problem: `format version ${version}, but this version supports only ${logFormatVersion}` };
  }
  const reader = new ByteReader(bytes, 16, segmentHeaderBytes);
  const number = reader.uint64();
  const low = reader.uint32();
  const logId = { low, high: reader.uint32() };
  const segmentBytes = reader.uint64();
  return { number, logId, segmentBytes, metadata: copyBytes(reader.raw(reader.uint32())) };
}

export const batchHeaderBytes = 40;
/** Written last and never zero, so that a missing end differs from a damaged one. */
const batchEndMark = 0xe4d0f11e;
const batchMagic = 0xba7c4a5e;
const moreFollowsBit = 1;

export type BatchHeader = {
  readonly payloadBytes: number;
  readonly payloadCrc: number;
  /** Increments by one from batch to batch over the lifetime of the log, from 1. */
  readonly sequence: number;
  /** The header checksum of the previous batch: a chain through all batches. */
  readonly previousCrc: number;
  /** Set on all but the last batch of a group that is valid only as a whole. */
  readonly moreFollows: boolean;
  /** This header's own checksum. */
  readonly headerCrc: number;
};

/** The size on disk of a batch with this much payload: header, payload, padding to 8, end mark in the last 4. */
export function batchBytes(payloadBytes: number): number {
  return batchHeaderBytes + ((payloadBytes + 11) & ~7);
}

export type BatchFrame = {
  readonly payloadBytes: number;
  readonly sequence: number;
  readonly previousCrc: number;
  readonly moreFollows: boolean;
  readonly logId: LogId;
};

/**
 * Frames the payload that is in `bytes` from `start + batchHeaderBytes` on; `bytes` extends to the batch's end.
 * Returns the header checksum, which the next batch continues.
 */
export function sealBatch(bytes: Uint8Array, start: number, frame: BatchFrame): number {
  const payloadStart = start + batchHeaderBytes;
  const payloadEnd = payloadStart + frame.payloadBytes;
  const end = start + batchBytes(frame.payloadBytes);
  bytes.fill(0, payloadEnd, end - 4);
  putUint32(bytes, end - 4, batchEndMark);
  putUint32(bytes, start, batchMagic);
  putUint32(bytes, start + 8, frame.payloadBytes);
  putUint32(bytes, start + 12, crc32c(bytes, payloadStart, end - 4));
  putUint64(bytes, start + 16, frame.sequence);
  putUint32(bytes, start + 24, frame.logId.low);
  putUint32(bytes, start + 28, frame.logId.high);
  putUint32(bytes, start + 32, frame.previousCrc);
  // The high bits keep this word from ever being zero: a zero word in a header means that it did not reach the disk.
  putUint32(bytes, start + 36, 0x5a000000 | (frame.moreFollows ? moreFollowsBit : 0));
  const headerCrc = crc32c(bytes, start + 8, payloadStart);
  putUint32(bytes, start + 4, headerCrc);
  return headerCrc;
}

/** The header at `start` if it is intact and of this log, else null. `end` bounds what may be read. */
export function decodeBatchHeader(bytes: Uint8Array, start: number, end: number, logId: LogId): BatchHeader | null {
  if (start + batchHeaderBytes > end || getUint32(bytes, start) !== batchMagic) return null;
  const headerCrc = getUint32(bytes, start + 4);
  if (headerCrc !== crc32c(bytes, start + 8, start + batchHeaderBytes)) return null;
  if (getUint32(bytes, start + 24) !== logId.low || getUint32(bytes, start + 28) !== logId.high) return null;
  const payloadBytes = getUint32(bytes, start + 8);
  if (start + batchBytes(payloadBytes) > end) return null;
  return {
    payloadBytes,
    payloadCrc: getUint32(bytes, start + 12),
    sequence: getUint64(bytes, start + 16),
    previousCrc: getUint32(bytes, start + 32),
    moreFollows: (getUint32(bytes, start + 36) & moreFollowsBit) !== 0,
    headerCrc,
  };
}

/** True when the payload, the padding and the end mark of the batch at `start` are intact. */
export function isPayloadIntact(bytes: Uint8Array, start: number, header: BatchHeader): boolean {
  const end = start + batchBytes(header.payloadBytes);
  if (getUint32(bytes, end - 4) !== batchEndMark) return false;
  return crc32c(bytes, start + batchHeaderBytes, end - 4) === header.payloadCrc;
}
