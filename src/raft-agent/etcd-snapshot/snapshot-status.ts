/** The output of `etcdctl snapshot status` for a file, computed the same way (etcdutl/snapshot, `Status`). */

import { extendCrc32c } from "../../base/crc32c.ts";
import type { DatabaseReader } from "../bbolt/database-reader.ts";
import { damagedDatabase } from "../bbolt/page-format.ts";
import { mainOf, revisionKeyLength } from "../mvcc/revision.ts";
import { EtcdBucket } from "./etcd-buckets.ts";

export type SnapshotStatus = {
  /** CRC-32C over all bucket names, keys and values. */
  readonly hash: number;
  /** Of the last change in the file. */
  readonly revision: number;
  /** Entries of all buckets together. */
  readonly totalKeys: number;
  readonly totalBytes: number;
};

/** Reads the whole file. @throws HaplanError `bbolt/damaged` */
export function snapshotStatus(database: DatabaseReader): SnapshotStatus {
  let hash = 0;
  let revision = 0;
  let totalKeys = 0;
  for (const bucket of database.bucketNames) {
    hash = extendCrc32c(hash, Buffer.from(bucket));
    for (const { key, value } of database.entries(bucket)) {
      hash = extendCrc32c(extendCrc32c(hash, key), value);
      totalKeys++;
      if (bucket !== EtcdBucket.key) continue;
      if (key.length < revisionKeyLength) throw damagedDatabase('a key of the bucket "key" is not a revision');
      revision = mainOf(key);
    }
  }
  return { hash, revision, totalKeys, totalBytes: database.sizeBytes };
}
