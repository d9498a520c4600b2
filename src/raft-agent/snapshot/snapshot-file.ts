/** One snapshot file: written from a stream of bytes, verified as a whole, read as a stream of bytes. */

import { crc32c } from "../../base/crc32c.ts";
import { ByteReader, ByteWriter } from "../wal/byte-codec.ts";
import type { FileHandle } from "../wal/file-system.ts";
import {
  chunkBytesMax,
  chunkHeaderBytes,
  damaged,
  decodeHeader,
  encodeHeader,
  footerBytes,
  headerFixedBytes,
  headerLength,
  type SnapshotHeader,
  writeChunk,
  writeFooter,
} from "./snapshot-format.ts";

/** Written bytes are synced this many at a time, so that no single sync keeps the disk busy for long. */
const syncEveryBytes = 8 * 1024 * 1024;

/** Writes everything and syncs it. Returns the size of the content. */
export async function writeSnapshot(
  file: FileHandle,
  header: SnapshotHeader,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  const { bytes, crc: headerCrc } = encodeHeader(header);
  const writer = new ByteWriter(chunkBytesMax + 1024);
  writer.raw(bytes);
  let [offset, unsynced, total, crc] = [0, 0, 0, headerCrc];
  const flush = async (): Promise<void> => {
    await file.write(offset, writer.written());
    offset += writer.length;
    unsynced += writer.length;
    writer.length = 0;
    if (unsynced < syncEveryBytes) return;
    await file.sync();
    unsynced = 0;
  };
  for await (const content of chunks) {
    for (let at = 0; at < content.length; at += chunkBytesMax) {
      const chunk = content.subarray(at, at + chunkBytesMax);
      crc = writeChunk(writer, chunk, crc);
      total += chunk.length;
      if (writer.length >= chunkBytesMax) await flush();
    }
  }
  writeFooter(writer, total, crc);
  await flush();
  await file.sync();
  return total;
}

/** @throws HaplanError `snapshot/damaged`, or `codec/...` for a header that does not decode. */
export async function readHeader(
  file: FileHandle,
): Promise<{ readonly header: SnapshotHeader; readonly crc: number; readonly length: number }> {
  const length = headerLength(await file.read(0, headerFixedBytes));
  const bytes = await file.read(0, length);
  if (bytes.length < length) throw damaged("a truncated header");
  return { ...decodeHeader(bytes), length };
}

/**
 * The content, chunk by chunk, each verified before it is yielded; ends only after a valid footer at the end of the
 * file. @throws HaplanError `snapshot/damaged` at the first error.
 */
export async function* readChunks(file: FileHandle): AsyncGenerator<Uint8Array> {
  const { length, crc: headerCrc } = await readHeader(file);
  let [offset, total, crc] = [length, 0, headerCrc];
  for (;;) {
    const frame = await file.read(offset, footerBytes);
    if (frame.length < chunkHeaderBytes) throw damaged(`an end at byte ${offset + frame.length}, before its footer`);
    const reader = new ByteReader(frame);
    const [chunkBytes, expected] = [reader.uint32(), reader.uint32()];
    if (chunkBytes === 0) {
      await checkFooter(file, offset, { frame, expected, total, crc });
      return;
    }
    if (chunkBytes > chunkBytesMax) throw damaged(`a chunk of ${chunkBytes} bytes at byte ${offset}`);
    const chunk = await file.read(offset + chunkHeaderBytes, chunkBytes);
    if (chunk.length < chunkBytes) throw damaged(`a truncated chunk at byte ${offset}`);
    crc = crc32c(chunk, 0, chunk.length, crc);
    if (crc !== expected) throw damaged(`a chunk with a wrong checksum at byte ${offset}`);
    yield chunk;
    total += chunkBytes;
    offset += chunkHeaderBytes + chunkBytes;
  }
}

type Footer = {
  readonly frame: Uint8Array;
  readonly expected: number;
  readonly total: number;
  readonly crc: number;
};

async function checkFooter(file: FileHandle, offset: number, { frame, expected, total, crc }: Footer): Promise<void> {
  if (frame.length < footerBytes) throw damaged("a truncated footer");
  if (crc32c(frame, chunkHeaderBytes, footerBytes, crc) !== expected) throw damaged("a footer with a wrong checksum");
  const announced = new ByteReader(frame, chunkHeaderBytes).uint64();
  if (announced !== total) throw damaged(`${total} bytes of content instead of the ${announced} in its footer`);
  const size = await file.size();
  if (size !== offset + footerBytes) throw damaged(`${size - offset - footerBytes} bytes after its footer`);
}

/** Reads the whole file and verifies every byte of it. Returns the size of the content. */
export async function verifySnapshot(file: FileHandle): Promise<number> {
  let total = 0;
  for await (const chunk of readChunks(file)) total += chunk.length;
  return total;
}
