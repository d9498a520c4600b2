/**
 * Every metric of the agent in one list, with etcd's names, labels and buckets, so that dashboards and alerts for etcd
 * work unchanged. Only real measurements are here: a metric that would have to be invented is omitted.
 *
 * Values that other modules count anyway are read at scrape time (`MetricSources`), so that the hot path costs a plain
 * `++` and nothing more; distributions, and values counted nowhere else, arrive through a hook.
 */

import { Counter, collectDefaultMetrics, exponentialBuckets, Gauge, Histogram, Registry } from "prom-client";
import { StatusCode } from "../api/status-code.ts";
import type { MethodCounters } from "../grpc/method-counters.ts";
import { addBackups, type BackupMetrics } from "./backup-metrics.ts";
import { addNetwork, type NetworkMetrics } from "./network-metrics.ts";
import { addProcess } from "./process-metrics.ts";
import { addSourced, type SourcedValues } from "./sourced-metrics.ts";
import { addWork, type WorkMetrics } from "./work-metrics.ts";

export type MetricSources = {
  readonly version: string;
  readonly memberId: string;
  /** One value for each name of `sourcedMetrics`. */
  values(): SourcedValues;
  /** Counters of every served method. */
  grpcMethods(): Iterable<MethodCounters>;
  /** Counts by reason. */
  readonly promotionsRejected: ReadonlyMap<string, number>;
  /** Empty until it is decided. */
  clusterVersion(): string;
  /** etcd's `--metrics=extensive`: also the latency of calls. */
  readonly extensive: boolean;
};

/** Each call is one observation. */
export type Metrics = NetworkMetrics & {
  /** Rare work that may take long. */
  readonly work: WorkMetrics;
  leaderChanged(): void;
  walFsync(seconds: number, bytes: number): void;
  backendCommit(seconds: number): void;
  /** A leader's heartbeat was late by more than two intervals. */
  heartbeatLate(): void;
  appliedSlowly(): void;
  /** A call is over. Ignored unless `extensive` is set. */
  handled(method: MethodCounters, seconds: number): void;
  healthSucceeded(): void;
  healthFailed(): void;
  /** One of the named checks behind `/livez` and `/readyz`. */
  healthChecked(type: "livez" | "readyz", name: string, ok: boolean): void;
  readonly backups: BackupMetrics;
  /** The text of `/metrics`. */
  render(): Promise<string>;
  readonly contentType: string;
};

/** etcd's buckets for the disk: 1 ms to 8 s, doubling. */
const diskBuckets = exponentialBuckets(0.001, 2, 14);

/** A registry per member: several members may live in one process. */
export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  // Its timer wakes an idle member: every 10 ms by default.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const refreshProcess = addProcess(registry);
  const refreshSourced = addSourced(registry, sources);
  const refreshGrpc = addGrpc(registry, sources);
  const refreshLabels = addLabels(registry, sources);
  const count = (name: string, help: string, ...labelNames: string[]): Counter =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const histogram = (name: string, help: string, buckets: number[], ...labelNames: string[]): Histogram =>
    new Histogram({ name, help, buckets, labelNames, registers: [registry] });

  const leaderChanges = count("etcd_server_leader_changes_seen_total", "The number of leader changes seen.");
  const slowApplies = count("etcd_server_slow_apply_total", "Entries that took too long to apply.");
  const handling = sources.extensive ? handlingTimes(registry) : null;
  const healthSuccess = count("etcd_server_health_success", "The total number of successful health checks.");
  const healthFailure = count("etcd_server_health_failures", "The total number of failed health checks.");
  const checked = count("etcd_server_healthchecks_total", "Named checks, by their result.", "type", "name", "status");
  const checkResult = new Gauge({
    name: "etcd_server_healthcheck",
    help: "1 if the last run of the check succeeded, 0 if it failed.",
    labelNames: ["type", "name"],
    registers: [registry],
  });
  const fsync = histogram("etcd_disk_wal_fsync_duration_seconds", "Latency of fsync called by the log.", diskBuckets);
  const commit = histogram(
    "etcd_disk_backend_commit_duration_seconds",
    "Latency of commits called by the backend.",
    diskBuckets,
  );
  const walBytes = new Gauge({
    name: "etcd_disk_wal_write_bytes_total",
    help: "Total number of bytes written to the log.",
    registers: [registry],
  });
  const lateHeartbeats = count(
    "etcd_server_heartbeat_send_failures_total",
    "Heartbeats that were sent late because the member was stalled.",
  );
  return {
    work: addWork(registry),
    backups: addBackups(registry),
    ...addNetwork(registry, sources.memberId),
    heartbeatLate: () => lateHeartbeats.inc(),
    leaderChanged: () => leaderChanges.inc(),
    appliedSlowly: () => slowApplies.inc(),
    handled: (method, seconds) => handling?.observe(methodLabels(method), seconds),
    healthSucceeded: () => healthSuccess.inc(),
    healthFailed: () => healthFailure.inc(),
    healthChecked: (type, name, ok) => {
      checked.inc({ type, name, status: ok ? "success" : "error" });
      checkResult.set({ type, name }, ok ? 1 : 0);
    },
    walFsync: (seconds, bytes) => {
      fsync.observe(seconds);
      walBytes.inc(bytes);
    },
    backendCommit: (seconds) => commit.observe(seconds),
    render: async () => {
      refreshProcess();
      refreshSourced();
      refreshGrpc();
      refreshLabels();
      // Of two consecutive scrapes, the second finds no sample of the event loop's lag; prom-client spells that "Nan".
      return (await registry.metrics()).replaceAll(" Nan\n", " NaN\n");
    },
    contentType: registry.contentType,
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

/** Adds constant labels; returns the function that refreshes the variable ones. */
function addLabels(registry: Registry, { version, memberId, clusterVersion }: MetricSources): () => void {
  const labeled = (name: string, help: string, label: string, value: string): void => {
    new Gauge({ name, help, labelNames: [label], registers: [registry] }).set({ [label]: value }, 1);
  };
  const cluster = new Gauge({
    name: "etcd_cluster_version",
    help: "Which version the cluster is running, as a label of the value 1.",
    labelNames: ["cluster_version"],
    registers: [registry],
  });
  labeled("etcd_server_version", "Which version is running, as a label of the value 1.", "server_version", version);
  labeled("etcd_server_id", "The member's id in hexadecimal, as a label of the value 1.", "server_id", memberId);
  return () => {
    cluster.reset();
    const agreed = clusterVersion();
    if (agreed !== "") cluster.set({ cluster_version: agreed.split(".").slice(0, 2).join(".") }, 1);
  };
}

/** grpc-go's names of the codes, in numeric order. */
const codeNames = [
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
  const promotions = make("etcd_server_learner_promote_successes", "Learners that this member promoted.");
  const rejections = make("etcd_server_learner_promote_failures", "Promotions rejected while leading.", ["Reason"]);
  return () => {
    rejections.reset();
    for (const [Reason, count] of sources.promotionsRejected) rejections.inc({ Reason }, count);
    for (const metric of [started, handled, messagesIn, messagesOut, bytesIn, bytesOut, promotions]) metric.reset();
    for (const method of sources.grpcMethods()) {
      const names = methodLabels(method);
      started.inc(names, method.started);
      messagesIn.inc(names, method.messagesReceived);
      messagesOut.inc(names, method.messagesSent);
      bytesIn.inc(method.bytesReceived);
      bytesOut.inc(method.bytesSent);
      if (method.path.endsWith("/MemberPromote")) promotions.inc(method.handled[StatusCode.ok]!);
      for (const [code, count] of method.handled.entries()) {
        if (count > 0 || code === StatusCode.ok)
          handled.inc({ ...names, grpc_code: codeNames[code] ?? "Unknown" }, count);
      }
    }
  };
}

/** Streams on which only the server sends; the others are bidirectional. */
const serverStreams: ReadonlySet<string> = new Set(["RangeStream", "Snapshot", "Observe"]);

function methodLabels({ path, kind }: MethodCounters): Record<string, string> {
  const [, service = "", method = ""] = path.split("/");
  const isServerStream = serverStreams.has(method) || service.startsWith("grpc.health");
  const grpcType = kind === "unary" ? "unary" : isServerStream ? "server_stream" : "bidi_stream";
  return { grpc_type: grpcType, grpc_service: service, grpc_method: method };
}
