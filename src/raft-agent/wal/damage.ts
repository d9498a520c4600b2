/**
 * Distinguishes the one kind of damage that a crash leaves, a torn last batch, from every other. README.md, "Torn or
 * damaged", has the rules and what they cannot distinguish.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import {
  type BatchHeader,
  batchBytes,
  batchHeaderBytes,
  decodeBatchHeader,
  type LogId,
  logFormatVersion,
  sectorBytes,
} from "./segment-format.ts";

const zeroes = Buffer.alloc(64 * 1024);

/** True when `bytes[start, end)` is all zero. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += zeroes.length) {
    const stop = Math.min(end, at + zeroes.length);
    if (zeroes.compare(bytes, at, stop, 0, stop - at) !== 0) return false;
  }
  return true;
}

/** Bytes that are not a valid batch, where batch `sequence` was expected at `offset`. */
export type DamageLocation = {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly sequence: number;
  readonly logId: LogId;
  /** The header at `offset`, if at least that is intact. */
  readonly header: BatchHeader | null;
};

/**
 * Null when the damage can be the result of a crash during the last, unacknowledged write; otherwise the reason why it
 * cannot.
 */
export function explainDamage(location: DamageLocation): string | null {
  const later = findLaterBatch(location);
  if (later !== null) {
    return `a damaged batch ${location.sequence}, although batch ${later.sequence} was written after it at byte ${later.offset}`;
  }
  return location.header === null ? explainHeaderDamage(location) : explainPayloadDamage(location, location.header);
}

/** A batch is written only after the previous one is durable, so a later one proves that this one was acknowledged. */
function findLaterBatch(location: DamageLocation): { sequence: number; offset: number } | null {
  const { bytes, logId } = location;
  for (let offset = location.offset + 8; offset + batchHeaderBytes <= bytes.length; offset += 8) {
    const header = decodeBatchHeader(bytes, offset, bytes.length, logId);
    if (header !== null && header.sequence > location.sequence) return { sequence: header.sequence, offset };
  }
  return null;
}

function explainHeaderDamage({ bytes, offset, sequence }: DamageLocation): string | null {
  const headerEnd = Math.min(offset + batchHeaderBytes, bytes.length);
  if (hasZeroSector(bytes, offset, headerEnd)) return null;
  if (isZero(bytes, headerEnd, bytes.length)) return null;
  return `a damaged header of batch ${sequence}, followed by data`;
}

function explainPayloadDamage({ bytes, offset, sequence }: DamageLocation, header: BatchHeader): string | null {
  if (header.sequence !== sequence) return `batch ${header.sequence} instead of batch ${sequence}`;
  const end = offset + batchBytes(header.payloadBytes);
  if (!isZero(bytes, end, bytes.length)) return `a damaged batch ${sequence}, followed by data`;
  if (hasZeroSector(bytes, offset, end) || isZero(bytes, end - 4, end)) return null;
  return `a damaged batch ${sequence}, all of whose sectors reached the disk`;
}

/** True when the part of some sector inside `bytes[start, end)` is still as zero as it was created. */
function hasZeroSector(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const stop = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (isZero(bytes, at, stop)) return true;
    at = stop;
  }
  return false;
}

/** The error for a log that does not hold what was acknowledged. */
export function damageError(file: string, offset: number, found: string): HaplanError {
  return new HaplanError(
    "wal/damaged",
    `Cannot recover the log: file "${file}" has at byte ${offset} ${found}. Acknowledged data may be lost, so ` +
      "this member must not vote: keep a copy of the directory, remove the member from the cluster and add it again with an " +
      "empty data directory (it then receives its data from the leader), or restore the file from a copy that is not older than the damage",
  );
}

/** The error for a log that a newer program wrote. Nothing is damaged, and nothing may be done about it here. */
export function newerVersionError(file: string, version: number): HaplanError {
  return new HaplanError(
    "wal/newer-version",
    `Cannot read the log: file "${file}" has format version ${version}, but this haplan-agent supports versions up to ${logFormatVersion}. ` +
      "It was not changed. Start the haplan-agent that wrote it, or a later one",
  );
}
