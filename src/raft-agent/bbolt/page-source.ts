/** The source of a database file's bytes: memory or a file on disk, with random access. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

export type PageSource = {
  readonly sizeBytes: number;
  /** The bytes at `offset`; fewer than `length` only at the end. The caller owns them. */
  read(offset: number, length: number): Buffer;
};

export function bytesSource(bytes: Uint8Array): PageSource {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return { sizeBytes: bytes.length, read: (offset, length) => buffer.subarray(offset, offset + length) };
}

/** The beginning of another source. */
export function headOf(source: PageSource, sizeBytes: number): PageSource {
  return {
    sizeBytes,
    read: (offset, length) => source.read(offset, Math.max(0, Math.min(length, sizeBytes - offset))),
  };
}

/** @throws the system's error */
export function openFileSource(path: string): PageSource & Disposable {
  const file = openSync(path, "r");
  return {
    sizeBytes: fstatSync(file).size,
    read: (offset, length) => {
      const bytes = Buffer.allocUnsafe(length);
      let done = 0;
      while (done < length) {
        const count = readSync(file, bytes, done, length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
      return bytes.subarray(0, done);
    },
    [Symbol.dispose]: () => closeSync(file),
  };
}
