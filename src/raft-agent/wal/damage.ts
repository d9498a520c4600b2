/**
 * Tells the one kind of damage that a crash leaves, a torn last batch, from every other. The rules and what they cannot
 * see are set out in README.md, "Torn or damaged".
 */
import { HaplanError } from "../../base/haplan-error.ts";
import {
  type BatchHeader,
  batchBytes,
  batchHeaderBytes,
  decodeBatchHeader,
  type LogId,
  sectorBytes,
} from "./segment-format.ts";

const zeroes = Buffer.alloc(64 * 1024);

/** True when `bytes[start, end)` is nothing but zero. */
export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += zeroes.length) {
    const stop = Math.min(end, at + zeroes.length);
    if (zeroes.compare(bytes, at, stop, 0, stop - at) !== 0) return false;
  }
  return true;
}

/** Bytes that are no valid batch, where batch `sequence` was expected at `offset`. */
export type DamagedPlace = {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly sequence: number;
  readonly logId: LogId;
  /** The header at `offset`, when that at least is whole. */
  readonly header: BatchHeader | null;
};

/** Null when the damage is what a crash during the last, unacknowledged write leaves; otherwise why it cannot be. */
export function explainDamage(place: DamagedPlace): string | null {
  const later = findLaterBatch(place);
  if (later !== null) {
    return `a damaged batch ${place.sequence}, though batch ${later.sequence} was written behind it at byte ${later.offset}`;
  }
  return place.header === null ? explainHeaderDamage(place) : explainPayloadDamage(place, place.header);
}

/** A batch is written only after the one before is durable: so a later one proves that this one was acknowledged. */
function findLaterBatch(place: DamagedPlace): { sequence: number; offset: number } | null {
  const { bytes, logId } = place;
  for (let offset = place.offset + 8; offset + batchHeaderBytes <= bytes.length; offset += 8) {
    const header = decodeBatchHeader(bytes, offset, bytes.length, logId);
    if (header !== null && header.sequence > place.sequence) return { sequence: header.sequence, offset };
  }
  return null;
}

function explainHeaderDamage({ bytes, offset, sequence }: DamagedPlace): string | null {
  const headerEnd = Math.min(offset + batchHeaderBytes, bytes.length);
  if (hasZeroSector(bytes, offset, headerEnd)) return null;
  if (isZero(bytes, headerEnd, bytes.length)) return null;
  return `a damaged header of batch ${sequence}, with data behind it`;
}

function explainPayloadDamage({ bytes, offset, sequence }: DamagedPlace, header: BatchHeader): string | null {
  if (header.sequence !== sequence) return `batch ${header.sequence} where batch ${sequence} belongs`;
  const end = offset + batchBytes(header.payloadBytes);
  if (!isZero(bytes, end, bytes.length)) return `a damaged batch ${sequence}, with data behind it`;
  if (hasZeroSector(bytes, offset, end) || isZero(bytes, end - 4, end)) return null;
  return `a damaged batch ${sequence}, all of whose sectors reached the disk`;
}

/** True when some sector's part of `bytes[start, end)` is still as zero as the segment was made. */
function hasZeroSector(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; ) {
    const stop = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes);
    if (isZero(bytes, at, stop)) return true;
    at = stop;
  }
  return false;
}

/** The refusal to go on with a log that does not hold what was acknowledged. */
export function damageError(file: string, offset: number, found: string): HaplanError {
  return new HaplanError(
    "wal/damaged",
    `Cannot recover the log: file "${file}" has at byte ${offset} ${found}. What was acknowledged may be lost here, so ` +
      "this member must not vote with it: keep a copy of the directory, remove the member from the cluster and add it again with an " +
      "empty data directory (it then gets its data from the others), or restore the file from a copy that is not older than the damage",
  );
}
