/**
 * One member, put together: disk, consensus, services, front. Only here do the rooms meet; each is told what it needs
 * and knows nothing of the others.
 */
import type { Logger } from "pino";
import { systemClock } from "../../base/clock.ts";
import { errorText } from "../../base/haplan-error.ts";
import { createRandom, type Random } from "../../base/random.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import type { GrpcServer } from "../grpc/grpc-server.ts";
import { memberValues } from "../metrics/member-values.ts";
import { createMetrics, type Metrics } from "../metrics/metrics.ts";
import { awaitsSnapshot } from "../raft/bootstrap.ts";
import type { MemberId } from "../raft/entry.ts";
import { Raft } from "../raft/raft.ts";
import type { SoftState } from "../raft/ready.ts";
import type { MemberServices } from "../services/member-services.ts";
import { openSnapshotStore } from "../snapshot/snapshot-store.ts";
import type { Member, MembershipChange } from "../state-machine/membership.ts";
import { PeerTransport } from "../transport/peer-transport.ts";
import { createNodeFileSystem } from "../wal/node-file-system.ts";
import { announceClusterVersion, announceMember } from "./announce-member.ts";
import { AwaitedState } from "./awaited-state.ts";
import { createDirectoryHandler } from "./cluster-directory.ts";
import { ConsensusDriver } from "./consensus-driver.ts";
import { ConsensusLink } from "./consensus-link.ts";
import { FirstElection } from "./first-election.ts";
import { handOverLeadership } from "./hand-over-leadership.ts";
import { createHandedServer } from "./handed-server.ts";
import { LogRetention } from "./log-retention.ts";
import { createGrpcServer, createServices, raftOptions, seedOf, spokenVersion, tickMs } from "./member-parts.ts";
import { notifySystemd } from "./notify-systemd.ts";
import { type OpenedMember, openMember, snapshotFolder } from "./open-member.ts";
import { PeerMetrics } from "./peer-metrics.ts";
import { callingMaterial, createPeerTls } from "./peer-tls.ts";
import { makeSelfSigned } from "./self-signed.ts";
import { ClientFront, hostOf, portOf } from "./serve-clients.ts";
import { watchApplying } from "./slow-apply.ts";
import { SnapshotExchange, type SnapshotLink } from "./snapshot-exchange.ts";
import { settledTicks, TickTimer } from "./tick-timer.ts";

const housekeepingMs = 100;
const certificateCheckMs = 5_000;
/** Log payload that may gather in memory before it is compacted early. */
const retainedBytesMax = 128 * 1024 * 1024;

export type Agent = {
  readonly memberId: MemberId;
  readonly clusterId: string;
  /** Hands leadership over if it is here, ends all calls, and writes everything down. */
  close(): Promise<void>;
};

export type AgentOptions = {
  readonly config: AgentConfig;
  readonly logger: Logger;
  /** The member cannot go on (its disk failed, or it was removed): the process has to end. */
  readonly onStopped: (reason: string) => void;
};

/** @throws HaplanError: the data cannot be used, an address is taken, a certificate is missing. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const agent = await RunningAgent.create(options);
  try {
    await agent.start();
  } catch (error) {
    await agent.close();
    throw error;
  }
  return agent;
}

/** The parts that depend on each other in a circle are made in `create` and closed in `start`. */
type Parts = {
  readonly opened: OpenedMember;
  readonly link: ConsensusLink;
  readonly services: MemberServices;
  readonly metrics: Metrics;
  readonly grpc: GrpcServer;
  readonly front: ClientFront;
  readonly snapshots: SnapshotExchange;
};

class RunningAgent implements Agent {
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly #options: AgentOptions;
  readonly #parts: Parts;
  readonly #raft: Raft;
  readonly #driver: ConsensusDriver;
  readonly #transport: PeerTransport;
  readonly #retention: LogRetention;
  readonly #peerMetrics: PeerMetrics;
  readonly #firstElection: FirstElection;
  readonly #awaitedState: AwaitedState;
  readonly #ticks: TickTimer;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #closing = new AbortController();
  #closed: Promise<void> | null = null;

  /** Opens the disk and makes everything that does not talk to anybody yet. */
  static async create(options: AgentOptions): Promise<RunningAgent> {
    const { config, logger } = options;
    for (const files of [config.clientTls, config.peerTls]) if (files !== null) makeSelfSigned(files);
    const late: { agent: RunningAgent | null; metrics: Metrics | null; front: ClientFront | null } = {
      agent: null,
      metrics: null,
      front: null,
    };
    const opened = await openMember({
      config,
      callingTls: config.peerTls === null ? null : callingMaterial(config.peerTls),
      walObserver: { onSync: (durationMs, bytes) => late.metrics?.walFsync(durationMs / 1000, bytes) },
      onStoreFailure: (error) => late.agent?.fail(error),
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
      onMembershipChanged: (change) => late.agent?.followMembership(change),
      onLeaseGranted: (ttlSeconds) => late.metrics?.work.leaseGranted(ttlSeconds),
      onNotice: (level, text) => logger[level](text),
      stateReplacement: {
        expect: () => late.agent!.expectState(),
        send: (member) => late.agent!.sendState(member),
      },
    });
    const grpc = createGrpcServer(config, services, logger, {
      onHandled: (method, seconds) => late.metrics?.handled(method, seconds),
      onHttp1: (socket) => late.front?.serveHttp1(socket),
    });
    const metrics = createMetrics({
      version: spokenVersion,
      memberId: identity.memberId,
      values: () => memberValues(services),
      clusterVersion: () => services.machine.membership.clusterVersion,
      grpcMethods: () => grpc.counters,
      extensive: config.extensiveMetrics,
    });
    late.metrics = metrics;
    const front = new ClientFront({ config, services, metrics, grpc });
    late.front = front;
    const snapshots = new SnapshotExchange({
      files: await openSnapshotStore({ fileSystem: createNodeFileSystem(snapshotFolder(config)), folder: "." }),
      store,
      onInstalled: (index) => late.agent?.snapshotInstalled(index),
      onLog: (text) => logger.info(text),
    });
    if (awaitsSnapshot(opened.restored.snapshot.index, store.consistentIndex)) {
      await snapshots.install(opened.restored.snapshot.index);
      // Nobody is connected yet: only the data has to be read again.
      services.machine.load();
    }
    late.agent = new RunningAgent(options, { opened, link, services, metrics, grpc, front, snapshots });
    return late.agent;
  }

  private constructor(options: AgentOptions, parts: Parts) {
    const { config } = options;
    const { opened, link, services, metrics, snapshots } = parts;
    this.#options = options;
    this.#parts = parts;
    this.memberId = opened.identity.memberId;
    this.clusterId = opened.identity.clusterId;
    const random = createRandom(seedOf(this.memberId));
    this.#raft = new Raft(raftOptions(config, this.memberId, random), opened.restored);
    this.#transport = this.#createTransport(random);
    this.#driver = new ConsensusDriver(
      {
        raft: this.#raft,
        wal: opened.wal,
        machine: watchApplying(services.machine, {
          warningMs: config.warningApplyDurationMs,
          onSlow: (index, tookMs) => this.#appliedSlowly(index, tookMs),
        }),
        send: (message) => this.#transport.send(message),
        flush: () => this.#transport.flush(),
        sendSnapshot: (request) => snapshots.send(request, this.#snapshotLink()),
        installSnapshot: (index) => this.#installSnapshot(index),
        // What was answered meanwhile leaves in this turn of the event loop, not in the next.
        defer: (run) =>
          setImmediate(() => {
            run();
            parts.grpc.flush();
          }),
      },
      {
        softState: (soft) => this.#softStateChanged(soft),
        applied: (index, bytes) => this.#applied(index, bytes),
        readConfirmed: (context, index) => services.readConfirmed(context, index),
        readFailed: (context) => services.readFailed(context),
        failed: (error) => this.fail(error),
      },
      { diskStallMs: config.electionTimeoutMs },
    );
    this.#ticks = new TickTimer({
      tickMs,
      settledTicks: settledTicks(tickMs, config.heartbeatIntervalMs),
      onTicks: (count) => this.#tick(count),
    });
    link.connect({ driver: this.#driver, transport: this.#transport });
    this.#retention = new LogRetention(
      { store: opened.store, wal: opened.wal, raft: this.#raft },
      {
        snapshotCount: config.snapshotCount,
        catchupEntries: config.snapshotCatchupEntries,
        bytesMax: retainedBytesMax,
      },
      opened.restored.snapshot.index,
    );
    this.#peerMetrics = new PeerMetrics(this.#transport, metrics);
    this.#awaitedState = new AwaitedState({
      appliedIndex: () => opened.store.consistentIndex,
      suspendApplying: () => this.#driver.suspendApplying(),
      install: (index) => this.#installSnapshot(index),
    });
    this.#firstElection = new FirstElection(
      {
        self: this.memberId,
        preVote: config.preVote,
        voters: () => this.#driver.status().configuration.voters,
        isConnected: (peer) => this.#transport.isConnected(peer),
        leader: () => link.leader(),
      },
      () => this.#driver.step({ kind: "campaign" }),
    );
  }

  /** Opens the ports and lets time run. */
  async start(): Promise<void> {
    const { config } = this.#options;
    const { services, front } = this.#parts;
    this.#followMembers(services.machine.membership.list());
    for (const url of config.listenPeerUrls) await this.#transport.listen({ host: hostOf(url), port: portOf(url) });
    await front.open();
    this.#ticks.start();
    this.#every(housekeepingMs, () => this.#housekeep());
    if (config.clientTls !== null) this.#every(certificateCheckMs, () => this.#reloadCertificates());
    this.#firstElection.consider();
    const announcement = { name: config.name, clientUrls: config.advertiseClientUrls };
    announceMember(services, announcement, systemClock, this.#closing.signal).then(
      () => this.#announced(),
      (error) => this.fail(error),
    );
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** The member cannot be trusted any more: it says so and falls silent. */
  fail(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#options.logger.fatal({ error: errorText(error) }, "this member stops");
    this.#options.onStopped(errorText(error));
  }

  /** The cluster knows this member and has a leader: that is when etcd, too, says that it serves. */
  #announced(): void {
    const { logger } = this.#options;
    if (this.#closing.signal.aborted) return;
    logger.info({ "local-member-id": this.memberId, "cluster-id": this.clusterId }, "ready to serve client requests");
    notifySystemd(process.env, (text) => logger.warn(text));
  }

  followMembership({ changed, removed }: MembershipChange): void {
    this.#followMembers(changed);
    for (const id of removed) {
      if (id === this.memberId) this.#removedFromCluster();
      else this.#transport.removePeer(id);
    }
  }

  snapshotInstalled(index: number): void {
    const { services } = this.#parts;
    services.snapshotInstalled();
    this.#retention.restartedAt(index);
    this.#followMembers(services.machine.membership.list());
    for (const id of services.machine.membership.removedIds()) this.#transport.removePeer(id);
  }

  /** @see AwaitedState */
  expectState(): number {
    this.#options.logger.error("the leader found other data here than elsewhere: this member's state is replaced");
    return this.#awaitedState.expect();
  }

  sendState(member: MemberId): Promise<void> {
    return this.#parts.snapshots.sendReplacement(member, this.#snapshotLink());
  }

  #snapshotLink(): SnapshotLink {
    return { driver: this.#driver, raft: this.#raft, transport: this.#transport };
  }

  async #close(): Promise<void> {
    const { opened, services, front } = this.#parts;
    await handOverLeadership(this.#driver, this.#transport);
    this.#closing.abort();
    this.#ticks.stop();
    for (const timer of this.#timers) clearInterval(timer);
    this.#awaitedState.stop();
    services.stop();
    await front.close();
    this.#driver.stop();
    await this.#transport.close();
    await opened.wal.close();
    await opened.store.close();
  }

  #createTransport(random: Random): PeerTransport {
    const { config, logger } = this.#options;
    const { opened, link, services, snapshots, metrics } = this.#parts;
    const directory = createDirectoryHandler({
      clusterId: opened.identity.clusterId,
      version: spokenVersion,
      members: () => services.machine.membership.list(),
    });
    const tls = config.peerTls === null ? null : createPeerTls(config.peerTls);
    return new PeerTransport({
      self: opened.identity.memberId,
      clusterId: opened.identity.clusterId,
      advertisedUrls: config.advertisePeerUrls,
      random,
      httpServer: createHandedServer(directory),
      limits: { deadAfterMs: Math.max(2 * config.electionTimeoutMs, 1_000) },
      ...(tls === null ? {} : { tls }),
      handlers: {
        onMessage: (message) => this.#driver.step({ kind: "message", message }),
        onPeerConnected: (peer) => {
          link.peerConnected(peer);
          this.#firstElection.consider();
        },
        onPeerDisconnected: (peer) => {
          link.peerDisconnected(peer);
          metrics.peerDisconnected(peer);
          this.#driver.step({ kind: "peerDisconnected", peer });
        },
        onRequest: (peer, _kind, body) => new Promise((resolve) => services.answerPeer(peer, body, resolve)),
        onSnapshot: async (peer, metadata, chunks) => {
          const startMs = systemClock.monotonicMs();
          const term = await snapshots.receive(metadata, chunks);
          metrics.work.snapshotSaved((systemClock.monotonicMs() - startMs) / 1000);
          if (this.#awaitedState.isExpected) {
            await this.#awaitedState.take(metadata.index);
            return;
          }
          const message = { kind: "snapshotRequest", from: peer, to: this.memberId, term, snapshot: metadata } as const;
          this.#driver.step({ kind: "message", message });
        },
        onLog: (level, text) => logger[level](text),
        onRoundTrip: (peer, milliseconds) => metrics.peerRoundTrip(peer, milliseconds / 1000),
      },
    });
  }

  #softStateChanged(soft: SoftState): void {
    const { link, services, metrics } = this.#parts;
    const leaderChanged = soft.leader !== null && soft.leader !== link.leader();
    link.softStateChanged(soft);
    this.#ticks.settle(soft.leader !== null);
    services.leadershipChanged();
    announceClusterVersion(services);
    if (!leaderChanged) return;
    metrics.leaderChanged();
    this.#options.logger.info({ leader: soft.leader, term: soft.term, role: soft.role }, "leader elected");
  }

  #appliedSlowly(index: number, tookMs: number): void {
    this.#parts.metrics.appliedSlowly();
    const took = `${Math.round(tookMs)} ms`;
    this.#options.logger.warn(
      { index, took, expected: this.#options.config.warningApplyDurationMs },
      "applying took long",
    );
  }

  #applied(index: number, bytes: number): void {
    this.#parts.services.applied(index);
    this.#retention.applied(index, bytes).catch((error) => this.fail(error));
  }

  async #installSnapshot(index: number): Promise<void> {
    const { snapshots, metrics } = this.#parts;
    metrics.work.snapshotApplying(true);
    try {
      await snapshots.install(index);
    } finally {
      metrics.work.snapshotApplying(false);
    }
  }

  /** A leader that stood still has kept its followers waiting: they may be about to elect another. */
  #tick(count: number): void {
    const { link, metrics } = this.#parts;
    const isLate = count * tickMs > 2 * this.#options.config.heartbeatIntervalMs;
    if (isLate && link.leader() === this.memberId) metrics.heartbeatLate();
    this.#driver.tick(count);
  }

  #housekeep(): void {
    const { services } = this.#parts;
    services.tick();
    const peers = services.machine.membership.list().map(({ id }) => id);
    this.#peerMetrics.collect(peers.filter((id) => id !== this.memberId));
  }

  #reloadCertificates(): void {
    try {
      if (this.#parts.front.reloadCertificates()) this.#options.logger.info("took renewed certificates into use");
    } catch (error) {
      this.#options.logger.error(errorText(error));
    }
  }

  #followMembers(members: readonly Member[]): void {
    for (const { id, peerUrls } of members) if (id !== this.memberId) this.#transport.setPeer(id, peerUrls);
  }

  #removedFromCluster(): void {
    if (this.#closing.signal.aborted) return;
    this.#options.logger.error("this member was removed from the cluster and stops; its id is never used again");
    this.#options.onStopped("the member was removed from the cluster");
  }

  #every(intervalMs: number, run: () => void): void {
    this.#timers.push(setInterval(run, intervalMs));
  }
}
