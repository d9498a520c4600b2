/** Traffic between this member and its peers, and their connections, with etcd's labels. */
import { Counter, exponentialBuckets, Gauge, Histogram, type Registry } from "prom-client";

export type NetworkMetrics = {
  peerSentBytes(peer: string, bytes: number): void;
  peerReceivedBytes(peer: string, bytes: number): void;
  peerSendFailed(peer: string): void;
  peerRoundTrip(peer: string, seconds: number): void;
  /** The members, and which of them are connected. */
  peersSeen(connected: ReadonlyMap<string, boolean>): void;
  peerDisconnected(peer: string): void;
  peerReceiveFailed(peer: string): void;
};

/** `Local` is this member's id. */
export function addNetwork(registry: Registry, Local: string): NetworkMetrics {
  const count = (name: string, help: string, ...labelNames: string[]): Counter =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const sent = count("etcd_network_peer_sent_bytes_total", "The total number of bytes sent to peers.", "To");
  const received = count("etcd_network_peer_received_bytes_total", "The total number of bytes from peers.", "From");
  const failures = count("etcd_network_peer_sent_failures_total", "The total number of send failures to peers.", "To");
  const roundTrip = new Histogram({
    name: "etcd_network_peer_round_trip_time_seconds",
    help: "Round trip time between peers.",
    buckets: exponentialBuckets(0.0001, 2, 15),
    labelNames: ["To"],
    registers: [registry],
  });
  const receiveFailures = count(
    "etcd_network_peer_received_failures_total",
    "Connections from peers that were lost.",
    "From",
  );
  const options = { labelNames: ["Local", "Remote"], registers: [registry] };
  const active = new Gauge({ name: "etcd_network_active_peers", help: "Peers with a connection.", ...options });
  const known = new Gauge({ name: "etcd_network_known_peers", help: "Peers that are members.", ...options });
  const lost = new Counter({
    name: "etcd_network_disconnected_peers_total",
    help: "How often the last connection to a peer was lost.",
    ...options,
  });
  return {
    peerSentBytes: (peer, bytes) => sent.inc({ To: peer }, bytes),
    peerReceivedBytes: (peer, bytes) => received.inc({ From: peer }, bytes),
    peerSendFailed: (peer) => failures.inc({ To: peer }),
    peerReceiveFailed: (peer) => receiveFailures.inc({ From: peer }),
    peerRoundTrip: (peer, seconds) => roundTrip.observe({ To: peer }, seconds),
    peersSeen: (connected) => {
      for (const gauge of [active, known]) gauge.reset();
      // etcd counts the member itself as a known peer.
      known.set({ Local, Remote: Local }, 1);
      for (const [Remote, isConnected] of connected) {
        active.set({ Local, Remote }, isConnected ? 1 : 0);
        known.set({ Local, Remote }, 1);
      }
    },
    peerDisconnected: (Remote) => lost.inc({ Local, Remote }),
  };
}
