/** Encodes SnapshotMetadata: one encoding for the log's markers, the headers of snapshot files, and the wire. */
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { ByteReader, ByteWriter } from "./byte-codec.ts";

export function writeSnapshotMetadata(writer: ByteWriter, metadata: SnapshotMetadata): void {
  writer.uint64(metadata.index);
  writer.uint64(metadata.term);
  writer.memberIds(metadata.configuration.voters);
  writer.memberIds(metadata.configuration.votersOutgoing);
  writer.memberIds(metadata.configuration.learners);
}

/** @throws HaplanError `codec/...` when the bytes are truncated or a number is out of range. */
export function readSnapshotMetadata(reader: ByteReader): SnapshotMetadata {
  const index = reader.uint64();
  const term = reader.uint64();
  const voters = reader.memberIds();
  const votersOutgoing = reader.memberIds();
  return { index, term, configuration: { voters, votersOutgoing, learners: reader.memberIds() } };
}
