/** How a member and its peers reach each other, and who hears what comes from them. */
import type { Logger } from "pino";
import { systemClock } from "../../base/clock.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Random } from "../../base/random.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import { decodePeerRequest, encodePeerAnswer, isPeerRequestKind } from "../consensus/peer-request.ts";
import type { MemberId } from "../raft/entry.ts";
import type { RaftEvent } from "../raft/event.ts";
import { PeerTransport } from "../transport/peer-transport.ts";
import type { TransportHandlers } from "../transport/transport-types.ts";
import type { AwaitedState } from "./awaited-state.ts";
import { createDirectoryHandler, findMember } from "./cluster-directory.ts";
import { createHandedServer } from "./handed-server.ts";
import { describeOpenRules } from "./member-certificate.ts";
import { spokenVersion } from "./member-parts.ts";
import type { AgentParts } from "./open-parts.ts";
import { createPeerTls, type MemberTls } from "./peer-tls.ts";
import { RejectionLog } from "./rejection-log.ts";

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
  const tls = openPeerTls(config, traffic);
  // One that joins knows no member yet but those that it was told of.
  const initialUrls = config.initialCluster.filter(({ name }) => name !== config.name).flatMap((each) => each.peerUrls);
  return new PeerTransport({
    self: identity.memberId,
    clusterId: identity.clusterId,
    advertisedUrls: config.advertisePeerUrls,
    random,
    httpServer: createHandedServer(directory),
    limits: { deadAfterMs: Math.max(2 * config.electionTimeoutMs, 1_000) },
    ...(tls === null ? {} : { tls }),
    findMember: async (peer, knownUrls) => {
      const cluster = {
        clusterId: identity.clusterId,
        peerUrls: knownUrls.length === 0 ? initialUrls : knownUrls,
      };
      return (await findMember(cluster, peer, tls?.callingMaterial() ?? null))?.peerUrls ?? null;
    },
    handlers: handlersFor(traffic),
  });
}

function openPeerTls({ peerTls: files, advertisePeerUrls }: AgentConfig, traffic: PeerTraffic): MemberTls | null {
  if (files === null) return null;
  const { services, opened } = traffic.parts;
  const ownPeerUrls = (): readonly string[] => {
    const self = services.machine.membership.get(opened.identity.memberId);
    return [...advertisePeerUrls, ...(self?.peerUrls ?? [])];
  };
  const tls = createPeerTls(files, ownPeerUrls);
  const openness = describeOpenRules(files, tls.memberRules());
  if (openness !== null) traffic.logger.warn(`the peer port trusts more than members: ${openness}`);
  return tls;
}

function handlersFor(traffic: PeerTraffic): TransportHandlers {
  const { parts, logger, awaitedState } = traffic;
  const { link, services, snapshots, metrics } = parts;
  const self = parts.opened.identity.memberId;
  const rejections = new RejectionLog("peer", logger, () => systemClock.monotonicMs());
  /** Also those whose configuration is in the log and not applied yet. */
  const isMember = (id: MemberId): boolean => {
    if (services.machine.membership.get(id) !== undefined) return true;
    const { voters, votersOutgoing, learners } = link.status().configuration;
    return [voters, votersOutgoing, learners].some((ids) => ids.includes(id));
  };
  return {
    onMessage: (message) => {
      // What clients ask through another member is done in the name of the user that it gives.
      if (message.kind === "forwardedProposals" && !isMember(message.from)) return;
      traffic.step({ kind: "message", message });
    },
    onPeerConnected: (peer) => {
      link.peerConnected(peer);
      traffic.peerConnected();
    },
    onPeerDisconnected: (peer) => {
      link.peerDisconnected(peer);
      metrics.peerDisconnected(peer);
      traffic.step({ kind: "peerDisconnected", peer });
    },
    onRequest: (peer, kind, body) => {
      if (isMember(peer)) return answerEncoded(services, peer, kind, body);
      return Promise.reject(new HaplanError("agent/no-member", `member ${peer} is not known to member ${self}`));
    },
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
    onRejected: (rejection) => rejections.add(rejection),
    onLog: (level, text) => logger[level](text),
    onRoundTrip: (peer, milliseconds) => metrics.peerRoundTrip(peer, milliseconds / 1000),
  };
}

/** @throws HaplanError `agent/unknown-request`, which the peer logs */
async function answerEncoded(
  services: AgentParts["services"],
  peer: MemberId,
  kind: number,
  body: Uint8Array,
): Promise<Uint8Array> {
  if (!isPeerRequestKind(kind)) {
    throw new HaplanError("agent/unknown-request", `requests of kind ${kind} are not known to this version`);
  }
  const request = decodePeerRequest(kind, body);
  if (request === null) throw new HaplanError("agent/unknown-request", "the request is cut short");
  return new Promise((resolve) => {
    services.answerPeer(peer, request, (answer) => resolve(encodePeerAnswer(kind, answer)));
  });
}
