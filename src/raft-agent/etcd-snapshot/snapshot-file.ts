/**
 * Snapshot files on disk: etcd's database followed, when the file was saved from a member rather than copied, by its
 * SHA-256. Databases consist of whole pages, so the file's length alone shows which of the two it is.
 */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { DatabaseReader } from "../bbolt/database-reader.ts";
import { headOf, openFileSource, type PageSource } from "../bbolt/page-source.ts";

const hashBytes = 32;
/** etcd checks for this; every page size is a multiple of it. */
const sectorBytes = 512;
const hashSliceBytes = 1 << 20;

export type SnapshotFile = Disposable & {
  readonly database: DatabaseReader;
  /** False for a file without SHA-256; a wrong one is rejected earlier. */
  readonly hasHash: boolean;
};

/**
 * @throws HaplanError `snapshot/unreadable`, `snapshot/hash` when the SHA-256 is wrong, `bbolt/damaged` when it is not
 * a database.
 */
export function openSnapshotFile(path: string, options: { readonly skipHashCheck: boolean }): SnapshotFile {
  return openSnapshotSource(path, openSource(path), options);
}

/** `source` has the file's bytes and is closed with the snapshot; `path` is for messages. @throws as `openSnapshotFile` */
export function openSnapshotSource(
  path: string,
  source: PageSource & Disposable,
  options: { readonly skipHashCheck: boolean },
): SnapshotFile {
  try {
    const hasHash = source.sizeBytes % sectorBytes === hashBytes;
    const content = hasHash ? headOf(source, source.sizeBytes - hashBytes) : source;
    if (hasHash && !options.skipHashCheck) checkHash(path, content, source.read(content.sizeBytes, hashBytes));
    const database = new DatabaseReader(content);
    return { database, hasHash, [Symbol.dispose]: () => source[Symbol.dispose]() };
  } catch (error) {
    source[Symbol.dispose]();
    throw error;
  }
}

function openSource(path: string): PageSource & Disposable {
  try {
    return openFileSource(path);
  } catch (cause) {
    throw new HaplanError("snapshot/unreadable", `Cannot read the snapshot "${path}": ${errorText(cause)}`, { cause });
  }
}

function checkHash(path: string, content: PageSource, expected: Buffer): void {
  const hash = createHash("sha256");
  for (let at = 0; at < content.sizeBytes; at += hashSliceBytes) hash.update(content.read(at, hashSliceBytes));
  const found = hash.digest();
  if (found.equals(expected)) return;
  throw new HaplanError(
    "snapshot/hash",
    `The snapshot "${path}" is damaged: its SHA-256 should be ${expected.toString("hex")} but is ${found.toString("hex")}; ` +
      "use another snapshot, or restore the remaining data with --skip-hash-check",
  );
}

/** A new file, with the digest that `etcdctl snapshot save` adds. @throws the system's error */
export async function writeSnapshotFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const hash = createHash("sha256");
  const file = openSync(path, "wx", 0o600);
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      writeAll(file, chunk);
    }
    writeAll(file, hash.digest());
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}
