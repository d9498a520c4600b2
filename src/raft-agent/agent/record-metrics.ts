/** The metrics of a member: the events of its layers, and their own counters. */
import type { AgentConfig } from "../config/agent-config.ts";
import type { GrpcServer } from "../grpc/grpc-server.ts";
import { memberValues } from "../metrics/member-values.ts";
import { createMetrics, type Metrics } from "../metrics/metrics.ts";
import type { MemberServices } from "../services/member-services.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import type { AgentEvents } from "./agent-events.ts";
import { reportedEtcdVersion } from "./from-config.ts";
import { PeerMetrics } from "./peer-metrics.ts";

export type MetricsParts = {
  readonly services: MemberServices;
  readonly grpc: GrpcServer;
  readonly transport: PeerTransport;
  /** The number of lost log lines. */
  readonly droppedLogLines: () => number;
};

export function recordMetrics(
  config: AgentConfig,
  { services, grpc, transport, droppedLogLines }: MetricsParts,
  events: AgentEvents,
): Metrics {
  const self = services.context.consensus.memberId;
  const metrics = createMetrics({
    version: reportedEtcdVersion,
    memberId: self,
    values: () =>
      memberValues(services, {
        responseBytes: grpc.memory.usedBytes,
        responseBytesMax: grpc.memory.maxBytes,
        connectionsCutOff: grpc.cutOffTotal,
        droppedLogLines: droppedLogLines(),
      }),
    clusterVersion: () => services.machine.membership.clusterVersion,
    grpcMethods: () => grpc.counters,
    promotionsRejected: services.context.counts.promotionsRejected,
    extensive: config.extensiveMetrics,
  });
  const { work } = metrics;
  const peerMetrics = new PeerMetrics(transport, metrics);
  events.on("housekeeping", () => {
    const peers = services.machine.membership.list().map(({ id }) => id);
    peerMetrics.collect(peers.filter((id) => id !== self));
  });
  events.on("logSynced", (durationMs, bytes) => metrics.walFsync(durationMs / 1000, bytes));
  events.on("storeCommitted", (durationMs) => metrics.backendCommit(durationMs / 1000));
  events.on("compactionSlice", (durationMs) => work.compactionSlice(durationMs));
  events.on("compacted", (durationMs, removed) => work.compacted(durationMs, removed));
  events.on("hashed", (durationMs) => work.hashed(durationMs / 1000));
  events.on("snapshotExported", (durationMs) => work.snapshotRead(durationMs / 1000));
  events.on("snapshotReceived", (_, durationMs) => work.snapshotSaved(durationMs / 1000));
  events.on("snapshotApplying", (underWay) => work.snapshotApplying(underWay));
  events.on("leaseGranted", (ttlSeconds) => work.leaseGranted(ttlSeconds));
  events.on("leaderElected", () => metrics.leaderChanged());
  events.on("appliedSlowly", () => metrics.appliedSlowly());
  events.on("heartbeatLate", () => metrics.heartbeatLate());
  events.on("peerDisconnected", (peer) => metrics.peerDisconnected(peer));
  events.on("peerRoundTrip", (peer, durationMs) => metrics.peerRoundTrip(peer, durationMs / 1000));
  events.on("backupTaken", (cluster, backup) => metrics.backups.taken(cluster, backup));
  events.on("backupFailed", (cluster) => metrics.backups.failed(cluster));
  events.on("callHandled", (method, seconds) => metrics.handled(method, seconds));
  return metrics;
}
