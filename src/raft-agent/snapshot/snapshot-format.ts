/** Header, chunk frames and footer of a snapshot file, byte for byte as drawn in README.md. */

import { crc32c } from "../../base/crc32c.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import { ByteReader, ByteWriter, getUint32, putUint32 } from "../wal/byte-codec.ts";
import { readSnapshotMetadata, writeSnapshotMetadata } from "../wal/snapshot-metadata-codec.ts";

const magic = Buffer.from("haplaSNP");
const formatVersion = 1;
export const headerFixedBytes = 20;
/** Enough for a configuration of thousands of members; more is damage. */
const headerRestBytesMax = 64 * 1024;
export const chunkHeaderBytes = 8;
export const footerBytes = 16;
export const chunkBytesMax: number = 256 * 1024;

export type SnapshotHeader = { readonly metadata: SnapshotMetadata; readonly createdMs: number };

export function encodeHeader({ metadata, createdMs }: SnapshotHeader): {
  readonly bytes: Uint8Array;
  readonly crc: number;
} {
  const writer = new ByteWriter(512);
  writer.raw(magic);
  writer.uint32(0);
  writer.uint32(formatVersion);
  writer.uint32(0);
  writer.uint64(createdMs);
  writeSnapshotMetadata(writer, metadata);
  putUint32(writer.bytes, 16, writer.length - headerFixedBytes);
  const crc = crc32c(writer.bytes, 12, writer.length);
  putUint32(writer.bytes, 8, crc);
  return { bytes: writer.written(), crc };
}

/** The length of the whole header, from its fixed part. @throws HaplanError `snapshot/damaged`. */
export function headerLength(fixed: Uint8Array): number {
  if (fixed.length < headerFixedBytes || !magic.equals(fixed.subarray(0, 8))) throw damaged("no snapshot header");
  const rest = getUint32(fixed, 16);
  if (rest > headerRestBytesMax) throw damaged(`a header of ${rest} bytes`);
  return headerFixedBytes + rest;
}

/** @throws HaplanError `snapshot/damaged`, `snapshot/newer-version`. */
export function decodeHeader(bytes: Uint8Array): { readonly header: SnapshotHeader; readonly crc: number } {
  const crc = getUint32(bytes, 8);
  if (crc !== crc32c(bytes, 12, bytes.length)) throw damaged("a header with a wrong checksum");
  const version = getUint32(bytes, 12);
  if (version > formatVersion) {
    throw new HaplanError(
      "snapshot/newer-version",
      `format version ${version}, but this haplan-agent supports versions up to ${formatVersion}`,
    );
  }
  if (version !== formatVersion) throw damaged(`format version ${version}, which there never was`);
  const reader = new ByteReader(bytes, headerFixedBytes);
  const createdMs = reader.uint64();
  return { header: { createdMs, metadata: readSnapshotMetadata(reader) }, crc };
}

/** Appends a chunk with its frame; returns its checksum, which the next one continues. */
export function writeChunk(writer: ByteWriter, chunk: Uint8Array, previousCrc: number): number {
  const crc = crc32c(chunk, 0, chunk.length, previousCrc);
  writer.uint32(chunk.length);
  writer.uint32(crc);
  writer.raw(chunk);
  return crc;
}

export function writeFooter(writer: ByteWriter, totalBytes: number, previousCrc: number): void {
  const start = writer.length;
  writer.uint32(0);
  writer.uint32(0);
  writer.uint64(totalBytes);
  putUint32(writer.bytes, start + 4, crc32c(writer.bytes, start + 8, writer.length, previousCrc));
}

export function damaged(what: string): HaplanError {
  return new HaplanError("snapshot/damaged", what);
}
