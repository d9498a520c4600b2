import { describe, expect, it } from "vitest";
import { methodCounters } from "../grpc/method-counters.ts";
import { createMetrics } from "./metrics.ts";
import type { SourcedValues } from "./sourced-metrics.ts";

/** The metrics of etcd's own dashboard and alerts (etcd-mixin) that the agent measures itself. */
const mixin = [
  "etcd_server_has_leader",
  "etcd_server_leader_changes_seen_total",
  "etcd_server_proposals_failed_total",
  "etcd_server_proposals_pending",
  "etcd_server_proposals_committed_total",
  "etcd_server_proposals_applied_total",
  "etcd_server_quota_backend_bytes",
  "etcd_disk_wal_fsync_duration_seconds_bucket",
  "etcd_disk_backend_commit_duration_seconds_bucket",
  "etcd_mvcc_db_total_size_in_bytes",
  "etcd_mvcc_db_total_size_in_use_in_bytes",
  "etcd_network_peer_sent_bytes_total",
  "etcd_network_peer_received_bytes_total",
  "etcd_network_peer_round_trip_time_seconds_bucket",
  "etcd_network_peer_sent_failures_total",
  "etcd_network_client_grpc_sent_bytes_total",
  "etcd_network_client_grpc_received_bytes_total",
  "grpc_server_started_total",
  "grpc_server_handled_total",
  "grpc_server_handling_seconds_bucket",
  "process_resident_memory_bytes",
];

describe("metrics", () => {
  it("have every name of etcd's dashboard and alerts, with the measured values", async () => {
    const put = { ...methodCounters("/etcdserverpb.KV/Put", "unary"), started: 3, bytesReceived: 30 };
    put.handled[0] = 2;
    put.handled[14] = 1;
    const values = new Proxy({}, { get: (_target, key) => (key === "puts" ? 5 : 1) }) as SourcedValues;
    const metrics = createMetrics({
      version: "3.6.1",
      memberId: "8e9e05c52164694d",
      values: () => values,
      grpcMethods: () => [put],
      promotionsRejected: new Map([["etcdserver: member not found", 2]]),
      clusterVersion: () => "3.6.0",
      extensive: true,
    });
    metrics.leaderChanged();
    metrics.walFsync(0.003, 100);
    metrics.backendCommit(0.003);
    metrics.peerSentBytes("a", 10);
    metrics.peerReceivedBytes("a", 10);
    metrics.peerSendFailed("a");
    metrics.peerRoundTrip("a", 0.001);
    metrics.appliedSlowly();
    metrics.peersSeen(new Map([["a", false]]));
    metrics.handled(put, 0.02);
    await metrics.render();
    const page = await metrics.render();
    const lines = page.split("\n");
    for (const name of mixin)
      expect(
        lines.some((line) => line.startsWith(name)),
        name,
      ).toBe(true);
    expect(lines).toContain("etcd_mvcc_put_total 5");
    expect(lines).toContain("etcd_debugging_mvcc_put_total 5");
    expect(lines).toContain('etcd_disk_wal_fsync_duration_seconds_bucket{le="0.004"} 1');
    expect(lines).toContain('etcd_server_version{server_version="3.6.1"} 1');
    const labels = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"';
    expect(lines).toContain(`grpc_server_handled_total{${labels},grpc_code="Unavailable"} 1`);
    expect(lines).toContain(`grpc_server_started_total{${labels}} 3`);
    expect(lines).toContain("etcd_network_client_grpc_received_bytes_total 30");
    expect(lines).toContain("etcd_server_slow_apply_total 1");
    // A15: the member itself is known, as in etcd 3.6, and has no connection.
    const known = lines.filter((line) => /^etcd_network_(known|active)_peers\{/.test(line));
    expect(known.sort()).toEqual([
      'etcd_network_active_peers{Local="8e9e05c52164694d",Remote="a"} 0',
      'etcd_network_known_peers{Local="8e9e05c52164694d",Remote="8e9e05c52164694d"} 1',
      'etcd_network_known_peers{Local="8e9e05c52164694d",Remote="a"} 1',
    ]);
    expect(lines).toContain('etcd_server_learner_promote_failures{Reason="etcdserver: member not found"} 2');
    expect(lines).toContain('etcd_cluster_version{cluster_version="3.6"} 1');
    expect(lines).toContain(`grpc_server_handling_seconds_bucket{le="0.025",${labels}} 1`);
  });
});
