/**
 * The content of a batch's payload: hard states, entries and snapshot markers, one after the other. Layout: README.md.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import { type Entry, EntryKind, type HardState } from "../raft/entry.ts";
import { ByteReader, type ByteWriter, putUint32 } from "./byte-codec.ts";
import { readSnapshotMetadata, writeSnapshotMetadata } from "./snapshot-metadata-codec.ts";

const recordType = { hardState: 1, entry: 2, snapshot: 3 } as const;
/** Type, flags, two reserved bytes, body length. */
const recordHeaderBytes = 8;
const entryFixedBytes = recordHeaderBytes + 16;

export type LogRecord =
  | { readonly kind: "hardState"; readonly hardState: HardState }
  | { readonly kind: "entry"; readonly entry: Entry }
  /** `keepsSuffix`: the entries after the snapshot's index stay in the log; otherwise the log is empty after it. */
  | { readonly kind: "snapshot"; readonly snapshot: SnapshotMetadata; readonly keepsSuffix: boolean };

/** The size in a payload of an entry with this much data. */
export function entryRecordBytes(dataBytes: number): number {
  return entryFixedBytes + dataBytes;
}

export function writeHardState(writer: ByteWriter, hardState: HardState): void {
  const start = beginRecord(writer, recordType.hardState, hardState.votedFor === null ? 0 : 1);
  writer.uint64(hardState.term);
  writer.uint64(hardState.commitIndex);
  if (hardState.votedFor !== null) writer.memberId(hardState.votedFor);
  endRecord(writer, start);
}

export function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.reserve(entryRecordBytes(entry.data.length));
  const start = beginRecord(writer, recordType.entry, entry.kind);
  writer.uint64(entry.term);
  writer.uint64(entry.index);
  writer.raw(entry.data);
  endRecord(writer, start);
}

export function writeSnapshotMarker(writer: ByteWriter, snapshot: SnapshotMetadata, keepsSuffix: boolean): void {
  const start = beginRecord(writer, recordType.snapshot, keepsSuffix ? 1 : 0);
  writeSnapshotMetadata(writer, snapshot);
  endRecord(writer, start);
}

function beginRecord(writer: ByteWriter, type: number, flags: number): number {
  writer.uint8(type);
  writer.uint8(flags);
  writer.uint16(0);
  writer.uint32(0);
  return writer.length;
}

function endRecord(writer: ByteWriter, start: number): void {
  putUint32(writer.bytes, start - 4, writer.length - start);
}

/**
 * Reads the next record. An entry's data is a view into the reader's bytes. @throws HaplanError when the record is
 * invalid: under a valid checksum that is a bug, or another program wrote it.
 */
export function readRecord(reader: ByteReader): LogRecord {
  const type = reader.uint8();
  const flags = reader.uint8();
  reader.uint16();
  const length = reader.uint32();
  const bodyStart = reader.at;
  reader.raw(length);
  const body = new ByteReader(reader.bytes, bodyStart, bodyStart + length);
  switch (type) {
    case recordType.hardState: {
      const term = body.uint64();
      const commitIndex = body.uint64();
      return { kind: "hardState", hardState: { term, commitIndex, votedFor: flags === 1 ? body.memberId() : null } };
    }
    case recordType.entry: {
      if (flags !== EntryKind.normal && flags !== EntryKind.configuration) throw unknownRecord(`entry kind ${flags}`);
      const term = body.uint64();
      const index = body.uint64();
      return { kind: "entry", entry: { term, index, kind: flags, data: body.raw(body.remaining) } };
    }
    case recordType.snapshot:
      return { kind: "snapshot", snapshot: readSnapshotMetadata(body), keepsSuffix: flags === 1 };
    default:
      throw unknownRecord(`record type ${type}`);
  }
}

function unknownRecord(what: string): HaplanError {
  return new HaplanError(
    "wal/unknown-record",
    `Cannot read the log: it contains ${what}, which this version does not support`,
  );
}
