/** Passes the transport's counters of each peer to the metrics, as differences since the last call. */
import type { Metrics } from "../metrics/metrics.ts";
import type { MemberId } from "../raft/entry.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";

type Seen = { sentBytes: number; receivedBytes: number; sentFailures: number; receivedFailures: number };

export class PeerMetrics {
  readonly #transport: PeerTransport;
  readonly #metrics: Metrics;
  readonly #seen = new Map<MemberId, Seen>();

  constructor(transport: PeerTransport, metrics: Metrics) {
    this.#transport = transport;
    this.#metrics = metrics;
  }

  collect(peers: Iterable<MemberId>): void {
    const connected = new Map<MemberId, boolean>();
    for (const peer of peers) {
      const now = this.#transport.statisticsFor(peer);
      const before = this.#seen.get(peer) ?? { sentBytes: 0, receivedBytes: 0, sentFailures: 0, receivedFailures: 0 };
      this.#metrics.peerSentBytes(peer, now.sentBytes - before.sentBytes);
      this.#metrics.peerReceivedBytes(peer, now.receivedBytes - before.receivedBytes);
      for (let failure = before.sentFailures; failure < now.sentFailures; failure++) this.#metrics.peerSendFailed(peer);
      for (let failure = before.receivedFailures; failure < now.receivedFailures; failure++)
        this.#metrics.peerReceiveFailed(peer);
      connected.set(peer, this.#transport.isConnected(peer));
      this.#seen.set(peer, now);
    }
    this.#metrics.peersSeen(connected);
  }
}
