/** Exports a store as the bytes of etcd's database file, from one consistent view, in bounded memory. */
import { layOutDatabase, writeDatabase } from "../bbolt/database-writer.ts";
import type { ReadSnapshot } from "../mvcc/backend/backend.ts";
import { etcdBuckets } from "./etcd-buckets.ts";

export type DatabaseExport = {
  readonly sizeBytes: number;
  /** The file from its first byte to its last, once. */
  readonly chunks: AsyncIterable<Uint8Array>;
};

/**
 * Reads the view twice: once for the file's layout and length before the result is returned, once for its bytes. The
 * caller closes the view. `yieldTurn` yields to the event loop between slices of work.
 */
export async function exportDatabase(view: ReadSnapshot, yieldTurn: () => Promise<void>): Promise<DatabaseExport> {
  const buckets = etcdBuckets(view);
  const layingOut = layOutDatabase(buckets);
  let step = layingOut.next();
  for (; step.done !== true; step = layingOut.next()) await yieldTurn();
  const layout = step.value;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const chunk of writeDatabase(buckets, layout)) {
      yield chunk;
      await yieldTurn();
    }
  }
  return { sizeBytes: layout.sizeBytes, chunks: chunks() };
}
