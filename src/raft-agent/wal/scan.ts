/** Reads a log from its first byte to its last and verifies all of it; changes nothing. */

import type { LogIndex } from "../raft/entry.ts";
import { copyBytes } from "./byte-codec.ts";
import { damageError, explainDamage, isZero, newerVersionError } from "./damage.ts";
import type { FileSystem } from "./file-system.ts";
import {
  type BatchHeader,
  batchBytes,
  batchHeaderBytes,
  decodeBatchHeader,
  decodeSegmentHeader,
  isPayloadIntact,
  type SegmentHeader,
  segmentHeaderBytes,
} from "./segment-format.ts";
import { segmentName, segmentNumber } from "./segment-store.ts";

export type ScannedBatch = {
  readonly segment: ScannedSegment;
  readonly offset: number;
  readonly header: BatchHeader;
  /** A view into the segment's bytes: copy what has to be kept. */
  readonly payload: Uint8Array;
};

export type ScannedSegment = {
  readonly number: number;
  readonly name: string;
  readonly header: SegmentHeader;
  /** The offset of the next batch. */
  end: number;
  /** The highest index of an entry in it, filled in by the reader of the batches. */
  highestIndex: LogIndex;
};

/** Bytes that belong to no complete group of batches and have to be zeroed before the log is appended to. */
export type TornRange = { readonly segment: ScannedSegment; readonly start: number; readonly end: number };

export type Scan = {
  readonly segments: readonly ScannedSegment[];
  /** In log order; to be zeroed from the last to the first. */
  readonly torn: readonly TornRange[];
  /** The last batch of the last complete group, with a copy of all its bytes. */
  readonly lastBatch: { readonly segment: ScannedSegment; readonly offset: number; readonly bytes: Uint8Array } | null;
  readonly lastSequence: number;
  readonly lastCrc: number;
};

/**
 * Calls `visit` with each batch of each complete group, in order. @throws HaplanError `wal/damaged` for any damage
 * that a crash cannot explain.
 */
export async function scanLog(
  fileSystem: FileSystem,
  directory: string,
  visit: (batch: ScannedBatch) => void,
): Promise<Scan> {
  const names = (await fileSystem.list(directory)).filter((name) => segmentNumber(name) !== null);
  const scanner = new Scanner(visit);
  for (const name of names) {
    const file = await fileSystem.open(`${directory}/${name}`, { create: false, readOnly: true });
    try {
      scanner.segment(name, await file.read(0, await file.size()));
    } finally {
      await file.close();
    }
  }
  return scanner.finish();
}

class Scanner {
  readonly #segments: ScannedSegment[] = [];
  #torn: TornRange[] = [];
  #lastBatch: Scan["lastBatch"] = null;
  /** Sequence and checksum of the last batch read, and of the last batch of a complete group. */
  #read = { sequence: 0, crc: 0 };
  #complete = { sequence: 0, crc: 0 };
  /** The batches of a group whose last one has not been read yet. */
  #group: ScannedBatch[] = [];
  readonly #visit: (batch: ScannedBatch) => void;

  constructor(visit: (batch: ScannedBatch) => void) {
    this.#visit = visit;
  }

  segment(name: string, bytes: Uint8Array): void {
    const segment = this.#openSegment(name, bytes);
    const isFirst = this.#segments.length === 0;
    this.#segments.push(segment);
    for (;;) {
      const batch = this.#batchAt(segment, bytes);
      if (batch === null) break;
      this.#accept(batch, bytes);
    }
    if (isFirst && segment.number > 1 && segment.end === segmentHeaderBytes) {
      throw damageError(
        name,
        segment.end,
        "no valid batch, although older segments were released on the basis of its content",
      );
    }
    this.#checkRest(segment, bytes);
  }

  #openSegment(name: string, bytes: Uint8Array): ScannedSegment {
    const header = decodeSegmentHeader(bytes);
    if ("newerVersion" in header) throw newerVersionError(name, header.newerVersion);
    if ("problem" in header) throw damageError(name, 0, header.problem);
    const previous = this.#segments.at(-1);
    const number = previous === undefined ? segmentNumber(name)! : previous.number + 1;
    if (name !== segmentName(number))
      throw damageError(segmentName(number), 0, `nothing: the file is missing, although "${name}" exists`);
    if (header.number !== number) throw damageError(name, 0, `the header of segment ${header.number}`);
    if (bytes.length !== header.segmentBytes) {
      throw damageError(name, bytes.length, `its end, although it was created with ${header.segmentBytes} bytes`);
    }
    const logId = previous?.header.logId ?? header.logId;
    if (logId.low !== header.logId.low || logId.high !== header.logId.high)
      throw damageError(name, 0, "the header of another log");
    return { number, name, header, end: segmentHeaderBytes, highestIndex: 0 };
  }

  /** The valid batch at the segment's end, or null. */
  #batchAt(segment: ScannedSegment, bytes: Uint8Array): ScannedBatch | null {
    const offset = segment.end;
    const header = decodeBatchHeader(bytes, offset, bytes.length, segment.header.logId);
    if (header === null || !isPayloadIntact(bytes, offset, header)) return null;
    const startsLog = this.#read.sequence === 0;
    const sequence = startsLog && segment.number > 1 ? header.sequence : this.#read.sequence + 1;
    if (header.sequence !== sequence) return null;
    if (header.previousCrc !== this.#read.crc && !(startsLog && segment.number > 1)) {
      throw damageError(segment.name, offset, `batch ${sequence}, which does not continue the previous batch`);
    }
    const start = offset + batchHeaderBytes;
    return { segment, offset, header, payload: bytes.subarray(start, start + header.payloadBytes) };
  }

  #accept(batch: ScannedBatch, bytes: Uint8Array): void {
    const { segment, header, offset } = batch;
    if (this.#torn.length > 0) this.#rejectTorn(segment);
    this.#group.push(batch);
    segment.end += batchBytes(header.payloadBytes);
    this.#read = { sequence: header.sequence, crc: header.headerCrc };
    if (header.moreFollows) return;
    for (const part of this.#group) this.#visit(part);
    this.#group = [];
    this.#complete = this.#read;
    this.#lastBatch = { segment, offset, bytes: bytes.subarray(offset, segment.end) };
  }

  #checkRest(segment: ScannedSegment, bytes: Uint8Array): void {
    const offset = segment.end;
    if (isZero(bytes, offset, bytes.length)) return;
    if (this.#torn.length > 0) this.#rejectTorn(segment);
    const { logId } = segment.header;
    const header = decodeBatchHeader(bytes, offset, bytes.length, logId);
    const reason = explainDamage({ bytes, offset, sequence: this.#read.sequence + 1, logId, header });
    if (reason !== null) throw damageError(segment.name, offset, reason);
    this.#torn.push({ segment, start: offset, end: endOfContent(bytes) });
  }

  /** There is data after a damaged place, so the place was durable once. */
  #rejectTorn(later: ScannedSegment): never {
    const { segment, start } = this.#torn[0]!;
    throw damageError(segment.name, start, `a damaged batch, although segment "${later.name}" was written after it`);
  }

  finish(): Scan {
    const unfinished = this.#group.map(({ segment, offset, header }) => {
      segment.end = Math.min(segment.end, offset);
      return { segment, start: offset, end: offset + batchBytes(header.payloadBytes) };
    });
    return {
      segments: this.#segments,
      torn: [...unfinished, ...this.#torn],
      lastBatch: this.#lastBatch && { ...this.#lastBatch, bytes: copyBytes(this.#lastBatch.bytes) },
      lastSequence: this.#complete.sequence,
      lastCrc: this.#complete.crc,
    };
  }
}

function endOfContent(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && isZero(bytes, Math.max(0, end - 4096), end)) end = Math.max(0, end - 4096);
  return end;
}
