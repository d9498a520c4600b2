/**
 * Every metric of the agent in one list, with etcd's names, labels and buckets, so that dashboards and alerts made
 * for etcd work unchanged. Only what is really measured is here: a metric that would have to be made up is left out.
 *
 * What other rooms count anyway is read at scrape time (`MetricSources`), so that the hot path pays a plain `++` and
 * nothing more; what has a distribution, or nobody else counts, comes in through a hook.
 */
import { Counter, collectDefaultMetrics, exponentialBuckets, Gauge, Histogram, Registry } from "prom-client";
import { StatusCode } from "../grpc/call.ts";
import type { MethodCounters } from "../grpc/method-counters.ts";

export type MetricSources = {
  readonly version: string;
  readonly memberId: string;
  /** One value for each name of `SOURCED_METRICS`. */
  values(): SourcedValues;
  /** Counters of every served method. */
  grpcMethods(): Iterable<MethodCounters>;
  /** Empty while it is not agreed on. */
  clusterVersion(): string;
  /** etcd's `--metrics=extensive`: also how long calls take. */
  readonly extensive: boolean;
};

/** Each call is one observation. */
export type Metrics = {
  leaderChanged(): void;
  walFsync(seconds: number): void;
  backendCommit(seconds: number): void;
  peerSentBytes(peer: string, bytes: number): void;
  peerReceivedBytes(peer: string, bytes: number): void;
  peerSendFailed(peer: string): void;
  peerRoundTrip(peer: string, seconds: number): void;
  appliedSlowly(): void;
  /** A call is over. Counts for nothing unless `extensive` is set. */
  handled(method: MethodCounters, seconds: number): void;
  healthSucceeded(): void;
  healthFailed(): void;
  /** The text of `/metrics`. */
  render(): Promise<string>;
  readonly contentType: string;
};

/** Types are etcd's, which has gauges for two things that only grow. */
const SOURCED_METRICS = {
  hasLeader: ["gauge", "etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not."],
  isLeader: ["gauge", "etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise."],
  isLearner: ["gauge", "etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise."],
  proposalsPending: ["gauge", "etcd_server_proposals_pending", "The current number of pending proposals."],
  proposalsFailed: ["counter", "etcd_server_proposals_failed_total", "The total number of failed proposals seen."],
  committedIndex: ["gauge", "etcd_server_proposals_committed_total", "The total number of proposals committed."],
  appliedIndex: ["gauge", "etcd_server_proposals_applied_total", "The total number of proposals applied."],
  slowReadIndexes: ["counter", "etcd_server_slow_read_indexes_total", "Read indexes that had to be asked for again."],
  failedReadIndexes: ["counter", "etcd_server_read_indexes_failed_total", "The total number of failed read indexes."],
  authRevision: ["gauge", "etcd_debugging_auth_revision", "The current revision of the auth store."],
  quotaBytes: ["gauge", "etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes."],
  dbTotalBytes: ["gauge", "etcd_mvcc_db_total_size_in_bytes", "Size of the database physically allocated, in bytes."],
  dbInUseBytes: ["gauge", "etcd_mvcc_db_total_size_in_use_in_bytes", "Size of the database in use, in bytes."],
  puts: ["counter", "etcd_mvcc_put_total", "Total number of put requests applied by this member."],
  deletes: ["counter", "etcd_mvcc_delete_total", "Total number of delete requests applied by this member."],
  txns: ["counter", "etcd_mvcc_txn_total", "Total number of txns applied by this member."],
  ranges: ["counter", "etcd_mvcc_range_total", "Total number of range requests served by this member."],
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
} as const;

export type SourcedValues = Readonly<Record<keyof typeof SOURCED_METRICS, number>>;

/** etcd's buckets for the disk: 1 ms to 8 s, doubling; round trips start at 0.1 ms. */
const DISK_BUCKETS = exponentialBuckets(0.001, 2, 14);
const ROUND_TRIP_BUCKETS = exponentialBuckets(0.0001, 2, 15);

/** A registry per member: several members may live in one process. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  // Its timer wakes an idle member: every 10 ms unless told otherwise.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const refreshSourced = addSourced(registry, sources);
  const refreshGrpc = addGrpc(registry, sources);
  const refreshLabels = addLabels(registry, sources);
  const count = (name: string, help: string, ...labelNames: string[]): Counter =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const histogram = (name: string, help: string, buckets: number[], ...labelNames: string[]): Histogram =>
    new Histogram({ name, help, buckets, labelNames, registers: [registry] });

  const leaderChanges = count("etcd_server_leader_changes_seen_total", "The number of leader changes seen.");
  const slowApplies = count("etcd_server_slow_apply_total", "Entries that took longer to apply than they should.");
  const handling = sources.extensive ? handlingTimes(registry) : null;
  const healthSuccess = count("etcd_server_health_success", "The total number of successful health checks.");
  const healthFailure = count("etcd_server_health_failures", "The total number of failed health checks.");
  const fsync = histogram("etcd_disk_wal_fsync_duration_seconds", "Latency of fsync called by the log.", DISK_BUCKETS);
  const commit = histogram(
    "etcd_disk_backend_commit_duration_seconds",
    "Latency of commits called by the backend.",
    DISK_BUCKETS,
  );
  const sent = count("etcd_network_peer_sent_bytes_total", "The total number of bytes sent to peers.", "To");
  const received = count("etcd_network_peer_received_bytes_total", "The total number of bytes from peers.", "From");
  const failures = count("etcd_network_peer_sent_failures_total", "The total number of send failures to peers.", "To");
  const roundTrip = histogram(
    "etcd_network_peer_round_trip_time_seconds",
    "Round trip time between peers.",
    ROUND_TRIP_BUCKETS,
    "To",
  );
  return {
    leaderChanged: () => leaderChanges.inc(),
    appliedSlowly: () => slowApplies.inc(),
    handled: (method, seconds) => handling?.observe(methodLabels(method), seconds),
    healthSucceeded: () => healthSuccess.inc(),
    healthFailed: () => healthFailure.inc(),
    walFsync: (seconds) => fsync.observe(seconds),
    backendCommit: (seconds) => commit.observe(seconds),
    peerSentBytes: (peer, bytes) => sent.inc({ To: peer }, bytes),
    peerReceivedBytes: (peer, bytes) => received.inc({ From: peer }, bytes),
    peerSendFailed: (peer) => failures.inc({ To: peer }),
    peerRoundTrip: (peer, seconds) => roundTrip.observe({ To: peer }, seconds),
    render: () => {
      refreshSourced();
      refreshGrpc();
      refreshLabels();
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

function addSourced(registry: Registry, sources: MetricSources): () => void {
  const setters = Object.entries(SOURCED_METRICS).map(([key, [type, name, help]]) => {
    const set = sourced(registry, type, name, help);
    return (values: SourcedValues): void => set(values[key as keyof SourcedValues]);
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

/** grpc-go's histogram with its default buckets. */
function handlingTimes(registry: Registry): Histogram {
  return new Histogram({
    name: "grpc_server_handling_seconds",
    help: "Response latency (seconds) of gRPC that had been application-level handled by the server.",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    labelNames: ["grpc_type", "grpc_service", "grpc_method"],
    registers: [registry],
  });
}

/** What is the same for as long as the member runs, and how to refresh what is not. */
function addLabels(registry: Registry, { version, memberId, clusterVersion }: MetricSources): () => void {
  const labelled = (name: string, help: string, label: string, value: string): void => {
    new Gauge({ name, help, labelNames: [label], registers: [registry] }).set({ [label]: value }, 1);
  };
  const cluster = new Gauge({
    name: "etcd_cluster_version",
    help: "Which version the cluster is running, as a label of the value 1.",
    labelNames: ["cluster_version"],
    registers: [registry],
  });
  labelled("etcd_server_version", "Which version is running, as a label of the value 1.", "server_version", version);
  labelled("etcd_server_id", "The member's id in hexadecimal, as a label of the value 1.", "server_id", memberId);
  return () => {
    cluster.reset();
    const agreed = clusterVersion();
    if (agreed !== "") cluster.set({ cluster_version: agreed.split(".").slice(0, 2).join(".") }, 1);
  };
}

/** grpc-go's names of the codes, in the order of their numbers. */
const CODE_NAMES = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
] as const;

function addGrpc(registry: Registry, sources: MetricSources): () => void {
  const labels = ["grpc_type", "grpc_service", "grpc_method"];
  const make = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const started = make("grpc_server_started_total", "Total number of RPCs started on the server.", labels);
  const handled = make("grpc_server_handled_total", "Total number of RPCs completed on the server.", [
    ...labels,
    "grpc_code",
  ]);
  const messagesIn = make("grpc_server_msg_received_total", "Total number of RPC messages received.", labels);
  const messagesOut = make("grpc_server_msg_sent_total", "Total number of RPC messages sent.", labels);
  const bytesIn = make("etcd_network_client_grpc_received_bytes_total", "Bytes received from grpc clients.");
  const bytesOut = make("etcd_network_client_grpc_sent_bytes_total", "Bytes sent to grpc clients.");
  return () => {
    for (const metric of [started, handled, messagesIn, messagesOut, bytesIn, bytesOut]) metric.reset();
    for (const method of sources.grpcMethods()) {
      const names = methodLabels(method);
      started.inc(names, method.started);
      messagesIn.inc(names, method.messagesReceived);
      messagesOut.inc(names, method.messagesSent);
      bytesIn.inc(method.bytesReceived);
      bytesOut.inc(method.bytesSent);
      for (const [code, count] of method.handled.entries()) {
        if (count > 0 || code === StatusCode.ok)
          handled.inc({ ...names, grpc_code: CODE_NAMES[code] ?? "Unknown" }, count);
      }
    }
  };
}

/** Streams that only the server sends on; the others go both ways. */
const SERVER_STREAMS: ReadonlySet<string> = new Set(["RangeStream", "Snapshot", "Observe"]);

function methodLabels({ path, kind }: MethodCounters): Record<string, string> {
  const [, service = "", method = ""] = path.split("/");
  const isServerStream = SERVER_STREAMS.has(method) || service.startsWith("grpc.health");
  const grpcType = kind === "unary" ? "unary" : isServerStream ? "server_stream" : "bidi_stream";
  return { grpc_type: grpcType, grpc_service: service, grpc_method: method };
}
