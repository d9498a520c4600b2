/** Metrics that other modules count anyway: read when the page is requested. */
import { Counter, Gauge, type Registry } from "prom-client";

/** Types are etcd's, which has gauges for two values that only grow. */
export const sourcedMetrics = {
  hasLeader: ["gauge", "etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not."],
  isLeader: ["gauge", "etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise."],
  isLearner: ["gauge", "etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise."],
  proposalsPending: ["gauge", "etcd_server_proposals_pending", "The current number of pending proposals."],
  proposalsFailed: ["counter", "etcd_server_proposals_failed_total", "The total number of failed proposals seen."],
  committedIndex: ["gauge", "etcd_server_proposals_committed_total", "The total number of proposals committed."],
  appliedIndex: ["gauge", "etcd_server_proposals_applied_total", "The total number of proposals applied."],
  slowReadIndexes: ["counter", "etcd_server_slow_read_indexes_total", "Read indexes that had to be requested again."],
  failedReadIndexes: ["counter", "etcd_server_read_indexes_failed_total", "The total number of failed read indexes."],
  authRevision: ["gauge", "etcd_debugging_auth_revision", "The current revision of the auth store."],
  quotaBytes: ["gauge", "etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes."],
  dbTotalBytes: ["gauge", "etcd_mvcc_db_total_size_in_bytes", "Size of the database physically allocated, in bytes."],
  dbInUseBytes: ["gauge", "etcd_mvcc_db_total_size_in_use_in_bytes", "Size of the database in use, in bytes."],
  puts: ["counter", "etcd_mvcc_put_total", "Total number of puts, including those in transactions."],
  deletes: ["counter", "etcd_mvcc_delete_total", "Total number of deletes, including those in transactions."],
  txns: ["counter", "etcd_mvcc_txn_total", "Total number of transactions with more than one operation."],
  ranges: ["counter", "etcd_mvcc_range_total", "Total number of ranges, including those in transactions."],
  currentRevision: ["gauge", "etcd_debugging_mvcc_current_revision", "The current revision of the store."],
  compactRevision: [
    "gauge",
    "etcd_debugging_mvcc_compact_revision",
    "The revision of the last compaction in the store.",
  ],
  watchers: ["gauge", "etcd_debugging_mvcc_watcher_total", "Total number of watchers."],
  watchStreams: ["gauge", "etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams."],
  slowWatchers: ["gauge", "etcd_debugging_mvcc_slow_watcher_total", "Total number of unsynced slow watchers."],
  leasesGranted: ["counter", "etcd_debugging_lease_granted_total", "The total number of granted leases."],
  leasesRevoked: ["counter", "etcd_debugging_lease_revoked_total", "The total number of revoked leases."],
  leasesExpired: ["counter", "etcd_debugging_server_lease_expired_total", "The total number of expired leases."],
  keys: ["gauge", "etcd_debugging_mvcc_keys_total", "Total number of keys."],
  putBytes: ["gauge", "etcd_debugging_mvcc_total_put_size_in_bytes", "The total size of the pairs put, in bytes."],
  watchEvents: ["counter", "etcd_debugging_mvcc_events_total", "Total number of events sent by this member."],
  leasesRenewed: ["counter", "etcd_debugging_lease_renewed_total", "The number of renewals seen by the leader."],
  defragmentations: ["gauge", "etcd_disk_defrag_inflight", "Whether a defragmentation is in progress: never, here."],
  responseBytes: [
    "gauge",
    "haplan_answer_memory_bytes",
    "Memory of responses that are being built or wait for clients to read.",
  ],
  responseBytesMax: [
    "gauge",
    "haplan_answer_memory_max_bytes",
    "Memory limit of responses, above which slow readers are disconnected.",
  ],
  connectionsCutOff: [
    "counter",
    "haplan_client_connections_cut_off_total",
    "Connections closed because their clients did not read.",
  ],
  droppedLogLines: ["counter", "haplan_log_lines_dropped_total", "Log lines that could not be written."],
} as const;

/** Deprecated since etcd 3.4, but still used by dashboards: the same values under their original names. */
const oldNames: Partial<Record<keyof typeof sourcedMetrics, string>> = {
  puts: "etcd_debugging_mvcc_put_total",
  deletes: "etcd_debugging_mvcc_delete_total",
  txns: "etcd_debugging_mvcc_txn_total",
  ranges: "etcd_debugging_mvcc_range_total",
  dbTotalBytes: "etcd_debugging_mvcc_db_total_size_in_bytes",
};

export type SourcedValues = Readonly<Record<keyof typeof sourcedMetrics, number>>;

/** Registers all of them; the result refreshes their values. */
export function addSourced(registry: Registry, sources: { values(): SourcedValues }): () => void {
  const setters = Object.entries(sourcedMetrics).map(([entry, [type, name, help]]) => {
    const key = entry as keyof SourcedValues;
    const old = oldNames[key];
    const set = sourced(registry, type, name, help);
    const setOld = old === undefined ? undefined : sourced(registry, type, old, `As ${name}, under its old name.`);
    return (values: SourcedValues): void => {
      set(values[key]);
      setOld?.(values[key]);
    };
  });
  return () => {
    const values = sources.values();
    for (const set of setters) set(values);
  };
}

function sourced(registry: Registry, type: "gauge" | "counter", name: string, help: string): (value: number) => void {
  if (type === "gauge") {
    const metric = new Gauge({ name, help, registers: [registry] });
    return (value) => metric.set(value);
  }
  const metric = new Counter({ name, help, registers: [registry] });
  return (value) => {
    metric.reset();
    metric.inc(value);
  };
}
