/** Durations of rare work: compactions, snapshots, hashes. Buckets are etcd's. */
import { Counter, exponentialBuckets, Gauge, Histogram, type Registry } from "prom-client";

export type WorkMetrics = {
  leaseGranted(ttlSeconds: number): void;
  compactionSlice(milliseconds: number): void;
  compacted(milliseconds: number, revisions: number): void;
  hashed(seconds: number): void;
  /** The store was read as a snapshot. */
  snapshotRead(seconds: number): void;
  /** A snapshot was received into a file. */
  snapshotSaved(seconds: number): void;
  /** Whether a snapshot is being moved into the store. */
  snapshotApplying(inProgress: boolean): void;
};

export function addWork(registry: Registry): WorkMetrics {
  const registers = [registry];
  const histogram = (name: string, help: string, start: number, count: number): Histogram =>
    new Histogram({ name, help, buckets: exponentialBuckets(start, 2, count), registers });
  const ttl = histogram("etcd_debugging_lease_ttl_total", "Granted lease TTLs in seconds.", 1, 24);
  const dbPause = histogram(
    "etcd_debugging_mvcc_db_compaction_pause_duration_milliseconds",
    "How long one slice of a compaction blocked other work.",
    1,
    13,
  );
  const indexPause = histogram(
    "etcd_debugging_mvcc_index_compaction_pause_duration_milliseconds",
    "The same: index and database are compacted in the same slices.",
    0.5,
    14,
  );
  const total = histogram(
    "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds",
    "How long compactions took.",
    100,
    14,
  );
  const last = "etcd_debugging_mvcc_db_compaction_last";
  const lastCompaction = new Gauge({ name: last, help: "When the last compaction ended, in Unix time.", registers });
  const compactedKeys = new Counter({
    name: "etcd_debugging_mvcc_db_compaction_keys_total",
    help: "Total number of revisions that compactions removed.",
    registers,
  });
  const hash = histogram("etcd_mvcc_hash_rev_duration_seconds", "How long hashing the keyspace took.", 0.01, 15);
  const read = histogram("etcd_disk_backend_snapshot_duration_seconds", "How long snapshots took to read.", 0.01, 17);
  const saved = histogram("etcd_snap_db_save_total_duration_seconds", "How long snapshots took to receive.", 0.1, 10);
  const applying = new Gauge({
    name: "etcd_server_snapshot_apply_in_progress_total",
    help: "1 while a snapshot is moved into the store, 0 otherwise.",
    registers,
  });
  return {
    leaseGranted: (seconds) => ttl.observe(seconds),
    compactionSlice: (milliseconds) => {
      dbPause.observe(milliseconds);
      indexPause.observe(milliseconds);
    },
    compacted: (milliseconds, revisions) => {
      total.observe(milliseconds);
      compactedKeys.inc(revisions);
      lastCompaction.set(Math.floor(Date.now() / 1000));
    },
    hashed: (seconds) => hash.observe(seconds),
    snapshotRead: (seconds) => read.observe(seconds),
    snapshotSaved: (seconds) => saved.observe(seconds),
    snapshotApplying: (inProgress) => applying.set(inProgress ? 1 : 0),
  };
}
