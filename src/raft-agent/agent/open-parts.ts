/**
 * What a member is made of before it talks to anybody: its disk opened, its services and its front made. They tell the
 * running agent, which comes last, through a listener.
 */
import type { Logger } from "pino";
import { systemClock } from "../../base/clock.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import { ConsensusLink } from "../consensus/consensus-link.ts";
import type { GrpcServer } from "../grpc/grpc-server.ts";
import { memberValues } from "../metrics/member-values.ts";
import { createMetrics, type Metrics } from "../metrics/metrics.ts";
import { awaitsSnapshot } from "../raft/bootstrap.ts";
import type { LogIndex } from "../raft/entry.ts";
import type { StateReplacement } from "../services/corruption/corruption-check.ts";
import type { MemberServices } from "../services/member-services.ts";
import { openSnapshotStore } from "../snapshot/snapshot-store.ts";
import type { MembershipChange } from "../state-machine/membership.ts";
import { createNodeFileSystem } from "../wal/node-file-system.ts";
import { createGrpcServer, createServices, spokenVersion } from "./member-parts.ts";
import { type OpenedMember, openMember, snapshotDir } from "./open-member.ts";
import { callingMaterial } from "./peer-tls.ts";
import { makeSelfSigned } from "./self-signed.ts";
import { ClientFront } from "./serve-clients.ts";
import { SnapshotExchange } from "./snapshot-exchange.ts";

export type AgentParts = {
  readonly opened: OpenedMember;
  readonly link: ConsensusLink;
  readonly services: MemberServices;
  readonly metrics: Metrics;
  readonly grpc: GrpcServer;
  readonly front: ClientFront;
  readonly snapshots: SnapshotExchange;
};

export type PartsListener = {
  /** The store cannot be written any more. */
  failed(error: unknown): void;
  membershipChanged(change: MembershipChange): void;
  /** The store's content was replaced. */
  snapshotInstalled(index: LogIndex): void;
  readonly stateReplacement: StateReplacement;
};

export type PartsOptions = {
  readonly config: AgentConfig;
  readonly logger: Logger;
  /** How many lines of the log were lost, for the metrics. */
  readonly droppedLogLines?: () => number;
};

/** @throws HaplanError: the data cannot be used, or a certificate is missing. */
export async function openParts(
  { config, logger, droppedLogLines }: PartsOptions,
  listener: PartsListener,
): Promise<AgentParts> {
  for (const files of [config.clientTls, config.peerTls]) if (files !== null) makeSelfSigned(files);
  // What is made first tells what is made later.
  const late: { metrics: Metrics | null; front: ClientFront | null } = { metrics: null, front: null };
  const opened = await openMember({
    config,
    callingTls: config.peerTls === null ? null : callingMaterial(config.peerTls),
    walObserver: { onSync: (durationMs, bytes) => late.metrics?.walFsync(durationMs / 1000, bytes) },
    onStoreFailure: (error) => listener.failed(error),
    onStoreCommit: (durationMs) => late.metrics?.backendCommit(durationMs / 1000),
    storeObserver: {
      compactionSlice: (tookMs) => late.metrics?.work.compactionSlice(tookMs),
      compacted: (tookMs, removed) => late.metrics?.work.compacted(tookMs, removed),
      hashed: (tookMs) => late.metrics?.work.hashed(tookMs / 1000),
      exported: (tookMs) => late.metrics?.work.snapshotRead(tookMs / 1000),
    },
  });
  const { identity, store } = opened;
  for (const notice of opened.notices) logger.warn(notice);
  const link = new ConsensusLink({
    memberId: identity.memberId,
    electionTimeoutMs: config.electionTimeoutMs,
    appliedIndex: () => store.consistentIndex,
    clock: systemClock,
  });
  const services = createServices(config, opened, link, {
    onMembershipChanged: (change) => listener.membershipChanged(change),
    drainClients: () => late.front?.drainClients() ?? Promise.resolve(),
    onLeaseGranted: (ttlSeconds) => late.metrics?.work.leaseGranted(ttlSeconds),
    onNotice: (level, text) => logger[level](text),
    stateReplacement: listener.stateReplacement,
  });
  const grpc = createGrpcServer(config, services, logger, {
    onHandled: (method, seconds) => late.metrics?.handled(method, seconds),
    onHttp1: (socket) => late.front?.serveHttp1(socket),
  });
  const metrics = createMetrics({
    version: spokenVersion,
    memberId: identity.memberId,
    values: () =>
      memberValues(services, {
        answerBytes: grpc.memory.usedBytes,
        answerBytesMax: grpc.memory.maxBytes,
        connectionsCutOff: grpc.cutOffTotal,
        droppedLogLines: droppedLogLines?.() ?? 0,
      }),
    clusterVersion: () => services.machine.membership.clusterVersion,
    grpcMethods: () => grpc.counters,
    promotionsRefused: services.context.counts.promotionsRefused,
    extensive: config.extensiveMetrics,
  });
  late.metrics = metrics;
  const front = new ClientFront({ config, services, metrics, grpc, logger });
  late.front = front;
  const snapshots = new SnapshotExchange({
    files: await openSnapshotStore({ fileSystem: createNodeFileSystem(snapshotDir(config)), directory: "." }),
    store,
    onInstalled: (index) => listener.snapshotInstalled(index),
    onLog: (text) => logger.info(text),
  });
  if (awaitsSnapshot(opened.restored.snapshot.index, store.consistentIndex)) {
    await snapshots.install(opened.restored.snapshot.index);
    // Nobody is connected yet: only the data has to be read again.
    services.machine.load();
  }
  return { opened, link, services, metrics, grpc, front, snapshots };
}
