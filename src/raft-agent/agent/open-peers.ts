/** The connections with the other members: how they are established, and how they follow the membership. */
import type { Logger } from "pino";
import { systemClock } from "../../base/clock.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { Random } from "../../base/random.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import {
  decodePeerRequest,
  encodePeerResponse,
  isPeerRequestKind,
  type PeerResponse,
} from "../consensus/peer-request.ts";
import { createDetachedServer } from "../gateway/detached-http-server.ts";
import type { MemberId } from "../raft/entry.ts";
import type { MembershipStore } from "../state-machine/membership-store.ts";
import { supportedVersions } from "../transport/handshake.ts";
import { PeerTransport } from "../transport/peer-transport.ts";
import type { TransportHandlers } from "../transport/transport-types.ts";
import type { AgentEvents } from "./agent-events.ts";
import { createDirectoryHandler, createNonMemberHandler, findMember } from "./cluster-directory.ts";
import type { MemberIdentity } from "./disk/member-identity.ts";
import type { SnapshotExchange } from "./disk/snapshot-exchange.ts";
import { reportedEtcdVersion } from "./from-config.ts";
import { RejectionLog } from "./rejection-log.ts";
import { describeOpenRules } from "./tls/member-certificate.ts";
import { createPeerTls, type MemberTls } from "./tls/peer-tls.ts";

export type PeerParts = {
  readonly identity: MemberIdentity;
  readonly membership: MembershipStore;
  readonly snapshots: SnapshotExchange;
  readonly random: Random;
};

/** @throws HaplanError `agent/certificate` naming a file that cannot be used. */
export function openPeers(config: AgentConfig, parts: PeerParts, events: AgentEvents, logger: Logger): PeerTransport {
  const { identity, membership, random } = parts;
  const cluster = { clusterId: identity.clusterId, replaces: () => membership.replacedClusters };
  const directory = createDirectoryHandler({
    ...cluster,
    version: reportedEtcdVersion,
    members: () => membership.list(),
  });
  const forNonMembers = createDetachedServer(createNonMemberHandler(cluster));
  const tls = openPeerTls(config, parts, logger);
  // A joining member knows only the members of its flags.
  const initialUrls = config.initialCluster.filter(({ name }) => name !== config.name).flatMap((each) => each.peerUrls);
  return new PeerTransport({
    self: identity.memberId,
    clusterId: identity.clusterId,
    advertisedUrls: config.advertisePeerUrls,
    random,
    hasReplaced: (clusterId) => membership.replacedClusters.includes(clusterId),
    // Features of a version may be in the log once it is agreed on: a peer that does not support it could not read on.
    versions: () => ({ ...supportedVersions, lowest: Math.max(supportedVersions.lowest, membership.protocolVersion) }),
    httpServer: createDetachedServer(directory),
    // Others have nothing to learn here.
    nonMemberHttpServer: () => (membership.replacedClusters.length > 0 ? forNonMembers : undefined),
    limits: { deadAfterMs: Math.max(2 * config.electionTimeoutMs, 1_000) },
    ...(tls === null ? {} : { tls }),
    findMember: async (peer, knownUrls) => {
      const asked = { clusterId: identity.clusterId, peerUrls: knownUrls.length === 0 ? initialUrls : knownUrls };
      return (await findMember(asked, peer, tls?.clientMaterial() ?? null))?.peerUrls ?? null;
    },
    handlers: handlersFor(parts.snapshots, events, logger),
  });
}

/** Peers are dialed when they are added, and rejected once they are removed; removed members are notified by the others. */
export function followMembership(
  transport: PeerTransport,
  { identity, membership }: Pick<PeerParts, "identity" | "membership">,
  events: AgentEvents,
): void {
  const self = identity.memberId;
  const followAll = (): void => {
    for (const { id, peerUrls } of membership.list()) if (id !== self) transport.setPeer(id, peerUrls);
    for (const id of membership.removedIds()) transport.removePeer(id);
  };
  events.on("snapshotInstalled", followAll);
  events.on("membershipChanged", ({ changed, removed }) => {
    for (const { id, peerUrls } of changed) if (id !== self) transport.setPeer(id, peerUrls);
    for (const id of removed) {
      if (id === self) events.emit("removed");
      else transport.removePeer(id);
    }
  });
  followAll();
}

function openPeerTls(
  { peerTls: files, advertisePeerUrls }: AgentConfig,
  { identity, membership }: PeerParts,
  logger: Logger,
): MemberTls | null {
  if (files === null) return null;
  const ownPeerUrls = (): readonly string[] => [
    ...advertisePeerUrls,
    ...(membership.get(identity.memberId)?.peerUrls ?? []),
  ];
  const tls = createPeerTls(files, ownPeerUrls);
  const openness = describeOpenRules(files, tls.memberRules());
  if (openness !== null) logger.warn(`the peer port trusts more than members: ${openness}`);
  return tls;
}

function handlersFor(snapshots: SnapshotExchange, events: AgentEvents, logger: Logger): TransportHandlers {
  const rejections = new RejectionLog("peer", logger, () => systemClock.monotonicMs());
  return {
    onMessage: (message) => events.emit("message", message),
    onPeerConnected: (peer) => events.emit("peerConnected", peer),
    onPeerDisconnected: (peer) => events.emit("peerDisconnected", peer),
    onRequest: (from, kind, body) => receiveRequest(from, kind, body, events),
    onSnapshot: async (from, metadata, chunks) => {
      const startMs = systemClock.monotonicMs();
      const term = await snapshots.receive(metadata, chunks);
      const tookMs = systemClock.monotonicMs() - startMs;
      await new Promise<void>((taken, failed) =>
        events.emit("snapshotReceived", { from, metadata, term, taken, failed }, tookMs),
      );
    },
    onRemoved: () => events.emit("removed"),
    onReplaced: (reason) => events.emit("replaced", reason),
    onRejected: (rejection) => rejections.add(rejection),
    onLog: (level, text) => logger[level](text),
    onRoundTrip: (peer, durationMs) => events.emit("peerRoundTrip", peer, durationMs),
  };
}

/** @throws HaplanError `agent/unknown-request`, which the peer logs */
async function receiveRequest(
  from: MemberId,
  kind: number,
  body: Uint8Array,
  events: AgentEvents,
): Promise<Uint8Array> {
  if (!isPeerRequestKind(kind)) {
    throw new HaplanError("agent/unknown-request", `requests of kind ${kind} are unknown to this version`);
  }
  const request = decodePeerRequest(kind, body);
  if (request === null) throw new HaplanError("agent/unknown-request", "the request is truncated");
  return new Promise((resolve, reject) => {
    const answer = (message: PeerResponse): void => resolve(encodePeerResponse(kind, message));
    events.emit("peerRequest", { from, request, answer, reject });
  });
}
