/**
 * Reads a whole snapshot as a restore would, without writing anything: what it has, and whether a restore would accept
 * every entry of it.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import type { DatabaseReader } from "../bbolt/database-reader.ts";
import { damagedDatabase } from "../bbolt/page-format.ts";
import type { Metadata } from "../mvcc/backend/backend.ts";
import { EtcdBucket } from "./etcd-buckets.ts";
import { importMetadata } from "./import-metadata.ts";
import { firstRevision, readChanges, readCompactionMarks } from "./read-changes.ts";

export type SnapshotFacts = {
  /** Of the last change. */
  readonly revision: number;
  /** Keys that exist at that revision. */
  readonly keys: number;
  readonly leases: number;
  readonly users: number;
  /** The version of etcd's storage, such as 3.6; null in files of etcd 3.5 and earlier, and of haplan's agent. */
  readonly storageVersion: string | null;
};

/** The newest etcd whose files haplan has been tested with. */
const newestMinor = 7;

/** @throws HaplanError `bbolt/damaged`, or `snapshot/too-new` for a file of a later etcd than haplan knows */
export function inspectSnapshot(database: DatabaseReader): SnapshotFacts {
  if (!database.bucketNames.includes(EtcdBucket.key)) {
    throw new HaplanError("snapshot/foreign", 'It is a database, but not one of etcd: it has no bucket "key"');
  }
  const storageVersion = readStorageVersion(database);
  const compacted = Math.max(-1, ...readCompactionMarks(database).values());
  const live = new Set<string>();
  let latest = firstRevision;
  for (const { main, tombstone, key } of readChanges(database, compacted)) {
    latest = main;
    const text = Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
    if (tombstone) live.delete(text);
    else live.add(text);
  }
  const metadata = memoryMetadata();
  const { leases } = importMetadata(database, metadata);
  const users = metadata.entries(EtcdBucket.authUsers).length;
  return { revision: Math.max(latest, compacted), keys: live.size, leases, users, storageVersion };
}

/** etcd writes it from 3.6 on. */
function readStorageVersion(database: DatabaseReader): string | null {
  for (const { key, value } of database.entries(EtcdBucket.meta)) {
    if (key.toString() !== "storageVersion") continue;
    const [, major, minor] = /^(\d+)\.(\d+)(?:\.\d+)?$/.exec(value.toString()) ?? [];
    if (major === undefined || minor === undefined) throw damagedDatabase("its storage version is not a version");
    if (Number(major) > 3 || Number(minor) > newestMinor) {
      throw new HaplanError(
        "snapshot/too-new",
        `It was written by etcd ${major}.${minor}, and this haplan knows etcd up to 3.${newestMinor}`,
      );
    }
    return `${major}.${minor}`;
  }
  return null;
}

function memoryMetadata(): Metadata {
  const buckets = new Map<string, Map<string, Uint8Array>>();
  return {
    get: (bucket, key) => buckets.get(bucket)?.get(key),
    entries: (bucket) => [...(buckets.get(bucket) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)),
    put: (bucket, key, value) => {
      const entries = buckets.get(bucket) ?? new Map<string, Uint8Array>();
      buckets.set(bucket, entries.set(key, value.slice()));
    },
    delete: (bucket, key) => {
      buckets.get(bucket)?.delete(key);
    },
  };
}
