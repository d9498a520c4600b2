/** How a member and its peers reach each other, and who hears what comes from them. */
import type { Logger } from "pino";
import { systemClock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import type { RaftEvent } from "../raft/event.ts";
import { PeerTransport } from "../transport/peer-transport.ts";
import type { TransportHandlers } from "../transport/transport-types.ts";
import type { AwaitedState } from "./awaited-state.ts";
import { createDirectoryHandler } from "./cluster-directory.ts";
import { createHandedServer } from "./handed-server.ts";
import { spokenVersion } from "./member-parts.ts";
import type { AgentParts } from "./open-parts.ts";
import { createPeerTls } from "./peer-tls.ts";

/** What peers' traffic is for, beside the parts. */
export type PeerTraffic = {
  readonly parts: AgentParts;
  readonly logger: Logger;
  readonly awaitedState: AwaitedState;
  step(event: RaftEvent): void;
  peerConnected(): void;
  /** The cluster has removed this member. */
  removed(): void;
};

export function createTransport(config: AgentConfig, random: Random, traffic: PeerTraffic): PeerTransport {
  const { identity } = traffic.parts.opened;
  const { services } = traffic.parts;
  const directory = createDirectoryHandler({
    clusterId: identity.clusterId,
    version: spokenVersion,
    members: () => services.machine.membership.list(),
  });
  const tls = config.peerTls === null ? null : createPeerTls(config.peerTls);
  return new PeerTransport({
    self: identity.memberId,
    clusterId: identity.clusterId,
    advertisedUrls: config.advertisePeerUrls,
    random,
    httpServer: createHandedServer(directory),
    limits: { deadAfterMs: Math.max(2 * config.electionTimeoutMs, 1_000) },
    ...(tls === null ? {} : { tls }),
    handlers: handlersFor(traffic),
  });
}

function handlersFor(traffic: PeerTraffic): TransportHandlers {
  const { parts, logger, awaitedState } = traffic;
  const { link, services, snapshots, metrics } = parts;
  const self = parts.opened.identity.memberId;
  return {
    onMessage: (message) => traffic.step({ kind: "message", message }),
    onPeerConnected: (peer) => {
      link.peerConnected(peer);
      traffic.peerConnected();
    },
    onPeerDisconnected: (peer) => {
      link.peerDisconnected(peer);
      metrics.peerDisconnected(peer);
      traffic.step({ kind: "peerDisconnected", peer });
    },
    onRequest: (peer, _kind, body) => new Promise((resolve) => services.answerPeer(peer, body, resolve)),
    onSnapshot: async (peer, metadata, chunks) => {
      const startMs = systemClock.monotonicMs();
      const term = await snapshots.receive(metadata, chunks);
      metrics.work.snapshotSaved((systemClock.monotonicMs() - startMs) / 1000);
      if (awaitedState.isExpected) {
        await awaitedState.take(metadata.index);
        return;
      }
      const message = { kind: "snapshotRequest", from: peer, to: self, term, snapshot: metadata } as const;
      traffic.step({ kind: "message", message });
    },
    onRemoved: () => traffic.removed(),
    onLog: (level, text) => logger[level](text),
    onRoundTrip: (peer, milliseconds) => metrics.peerRoundTrip(peer, milliseconds / 1000),
  };
}
