/**
 * A snapshot with its revision raised, as `etcdutl snapshot restore --bump-revision --mark-compacted` of etcd 3.5.11 and
 * later makes it: an entry without content at the new revision, and a mark that all before it is compacted. etcdctl 3.4
 * restores such a file as any other.
 */

import type { DatabaseEntry, DatabaseReader } from "../bbolt/database-reader.ts";
import { type AddEntry, type BucketSource, layOutDatabase, writeDatabase } from "../bbolt/database-writer.ts";
import { scheduledCompaction } from "../mvcc/index/open-index.ts";
import { encodeRevisionKey } from "../mvcc/revision.ts";
import { EtcdBucket } from "./etcd-buckets.ts";

const entriesPerSlice = 500;
const noBytes = new Uint8Array(0);

type Entry = readonly [key: Uint8Array, value: Uint8Array];

/** The database's bytes, without a digest. `revision`: the new one, above all in the snapshot. */
export function* bumpedDatabase(database: DatabaseReader, revision: number): Generator<Uint8Array> {
  const at = encodeRevisionKey(revision, 0);
  const extra = new Map<string, readonly Entry[]>([
    [EtcdBucket.key, [[at, noBytes]]],
    [EtcdBucket.meta, [[Buffer.from(scheduledCompaction), at]]],
  ]);
  const names = [...new Set([...database.bucketNames, EtcdBucket.key, EtcdBucket.meta])].sort();
  const buckets = names.map(
    (name): BucketSource => ({
      name,
      open: () => feed(database.entries(name), extra.get(name) ?? []),
    }),
  );
  const layingOut = layOutDatabase(buckets);
  let step = layingOut.next();
  while (step.done !== true) step = layingOut.next();
  yield* writeDatabase(buckets, step.value);
}

/** The entries of a bucket with others among them, which replace those of the same key. */
function feed(entries: Generator<DatabaseEntry>, extra: readonly Entry[]): (add: AddEntry) => boolean {
  const waiting = [...extra];
  return (add) => {
    for (let left = entriesPerSlice; left > 0; left--) {
      const next = entries.next();
      if (next.done === true) {
        for (const [key, value] of waiting.splice(0)) add(key, value);
        return false;
      }
      const { key, value } = next.value;
      let isReplaced = false;
      while (waiting[0] !== undefined && Buffer.compare(waiting[0][0], key) <= 0) {
        const [own, content] = waiting.shift()!;
        isReplaced = Buffer.compare(own, key) === 0;
        add(own, content);
      }
      if (!isReplaced) add(key, value);
    }
    return true;
  };
}
