/** A snapshot as `etcdctl snapshot save` writes it: the database file, and its SHA-256 behind it. */
import { createHash } from "node:crypto";
import type { ReadSnapshot } from "../mvcc/backend/backend.ts";
import { exportDatabase } from "./export-database.ts";

export type SnapshotBytes = {
  /** Of the database, without the digest. */
  readonly databaseBytes: number;
  /** The whole file, once; the last chunk is the digest. */
  readonly chunks: AsyncIterable<Uint8Array>;
};

/** The caller closes the view. `yieldTurn` yields to the event loop between slices of work; what it throws ends the chunks. */
export async function snapshotBytes(view: ReadSnapshot, yieldTurn: () => Promise<void>): Promise<SnapshotBytes> {
  const { sizeBytes, chunks } = await exportDatabase(view, yieldTurn);
  return { databaseBytes: sizeBytes, chunks: withDigest(chunks) };
}

async function* withDigest(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  yield hash.digest();
}
