/**
 * One member, put together: disk, consensus, services, front. Only here do the rooms meet; each is told what it needs
 * and knows nothing of the others.
 */
import { systemClock } from "../../base/clock.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { isTlsUrl, listenAddress } from "../../base/listen-place.ts";
import { createRandom } from "../../base/random.ts";
import { ConsensusDriver } from "../consensus/consensus-driver.ts";
import type { MemberId } from "../raft/entry.ts";
import { Raft } from "../raft/raft.ts";
import type { SoftState } from "../raft/ready.ts";
import { checkBeforeServing } from "../services/corruption/initial-corruption-check.ts";
import type { Member, MembershipChange } from "../state-machine/membership.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import { announceClusterVersion, announceMember } from "./announce-member.ts";
import { AwaitedState } from "./awaited-state.ts";
import { createTransport } from "./create-transport.ts";
import { FirstElection } from "./first-election.ts";
import { handOverLeadership } from "./hand-over-leadership.ts";
import { LogRetention } from "./log-retention.ts";
import { rememberLostEntries } from "./lost-entries.ts";
import { raftOptions, seedOf, tickMs } from "./member-parts.ts";
import { notifySystemd } from "./notify-systemd.ts";
import { type AgentParts, openParts, type PartsOptions } from "./open-parts.ts";
import { PeerMetrics } from "./peer-metrics.ts";
import { watchApplying } from "./slow-apply.ts";
import type { SnapshotLink } from "./snapshot-exchange.ts";
import { settledTicks, TickTimer } from "./tick-timer.ts";

const housekeepingMs = 100;
const certificateCheckMs = 1_000;
/** Log payload that may gather in memory before it is compacted early. */
/** How long a turn of the event loop applies entries; the rest waits for what else there is to do. */
const applyingMs = 20;
const retainedBytesMax = 128 * 1024 * 1024;

export type Agent = {
  readonly memberId: MemberId;
  readonly clusterId: string;
  /**
   * Hands leadership over if it is here, asks clients to go elsewhere, finishes the calls under way, and writes everything
   * down. Takes at most about 8 s.
   */
  close(): Promise<void>;
};

export type AgentOptions = PartsOptions & {
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

class RunningAgent implements Agent {
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
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
  /** It has said why it cannot go on; the process ends soon. */
  #hasStopped = false;

  static async create(options: AgentOptions): Promise<RunningAgent> {
    // What its parts tell before the agent is there has nobody to hear it.
    let agent: RunningAgent | null = null;
    const parts = await openParts(options, {
      failed: (error) => agent?.fail(error),
      membershipChanged: (change) => agent?.followMembership(change),
      snapshotInstalled: (index) => agent?.snapshotInstalled(index),
      stateReplacement: {
        expect: () => agent!.expectState(),
        send: (member) => agent!.sendState(member),
      },
    });
    agent = new RunningAgent(options, parts);
    return agent;
  }

  private constructor(options: AgentOptions, parts: AgentParts) {
    const { config } = options;
    const { opened, link, services, metrics, snapshots } = parts;
    this.#options = options;
    this.#parts = parts;
    this.memberId = opened.identity.memberId;
    this.clusterId = opened.identity.clusterId;
    const random = createRandom(seedOf(this.memberId));
    this.#raft = new Raft(raftOptions(config, this.memberId, random), opened.restored);
    this.#awaitedState = new AwaitedState({
      appliedIndex: () => opened.store.consistentIndex,
      suspendApplying: () => this.#driver.suspendApplying(),
      install: (index) => this.#installSnapshot(index),
    });
    this.#transport = createTransport(config, random, {
      parts,
      logger: options.logger,
      awaitedState: this.#awaitedState,
      step: (event) => this.#driver.step(event),
      peerConnected: () => this.#firstElection.consider(),
      removed: () => this.#removedFromCluster(),
    });
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
        beginApplying: () => {
          const endMs = performance.now() + applyingMs;
          return () => performance.now() >= endMs;
        },
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
    const answerPeer = services.answerPeer.bind(services);
    link.connect({ driver: this.#driver, transport: this.#transport, answerPeer });
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

  /** Opens the ports and lets time run. A member that is to be compared first talks to its peers before it serves. */
  async start(): Promise<void> {
    const { config, logger } = this.#options;
    const { services, front } = this.#parts;
    const { membership } = services.machine;
    if (membership.isRemoved(this.memberId)) throw removedError(config.dataDir);
    this.#followMembers(membership.list());
    for (const id of membership.removedIds()) this.#transport.removePeer(id);
    for (const url of config.listenPeerUrls) await this.#transport.listen(listenAddress(url), isTlsUrl(url));
    // Before time runs: a port that is taken is noticed before this member has voted.
    await front.listen();
    this.#ticks.start();
    this.#every(housekeepingMs, () => this.#housekeep());
    this.#firstElection.consider();
    if (config.initialCorruptCheck) await checkBeforeServing(services.context, (level, text) => logger[level](text));
    if (config.clientTls !== null) this.#every(certificateCheckMs, () => this.#reloadCertificates());
    if (this.#hasEverAnnounced()) front.serve();
    const announcement = { name: config.name, clientUrls: config.advertiseClientUrls };
    announceMember(services, announcement, systemClock, this.#closing.signal).then(
      () => this.#announced(),
      (error) => this.fail(error),
    );
  }

  /**
   * Then its store holds all that the cluster had when this member came. One that joins, or founds later than the others,
   * would answer from an empty store what needs no majority.
   */
  #hasEverAnnounced(): boolean {
    const self = this.#parts.services.machine.membership.get(this.memberId);
    return self !== undefined && self.name !== "";
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** The member cannot be trusted any more: it says so and falls silent. */
  fail(error: unknown): void {
    if (this.#closing.signal.aborted || this.#hasStopped) return;
    this.#hasStopped = true;
    rememberLostEntries(this.#options.config, error);
    this.#options.logger.fatal({ error: errorText(error) }, "this member stops");
    this.#options.onStopped(errorText(error));
  }

  /** The cluster knows this member and has a leader: that is when etcd, too, serves and says so. */
  #announced(): void {
    const { logger } = this.#options;
    if (this.#closing.signal.aborted) return;
    this.#parts.front.serve();
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
    services.announceShutdown();
    await handOverLeadership(this.#driver, this.#transport);
    // A member that cannot go on finishes nothing.
    if (!this.#hasStopped) {
      services.endLastingStreams();
      await front.drain();
    }
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
    if (this.#closing.signal.aborted || this.#hasStopped) return;
    this.#hasStopped = true;
    const { logger, onStopped, config } = this.#options;
    logger.fatal({ error: removedError(config.dataDir).message }, "this member was removed from the cluster and stops");
    onStopped("the member was removed from the cluster");
  }

  #every(intervalMs: number, run: () => void): void {
    this.#timers.push(setInterval(run, intervalMs));
  }
}

/** Its data is worth nothing to the cluster any more, and would answer serializable reads with what once was. */
function removedError(dataDir: string): HaplanError {
  return new HaplanError(
    "agent/removed",
    `Cannot go on with the data in "${dataDir}": this member was removed from the cluster, and its id is never used again; ` +
      "to bring the machine back, clear the directory and add it as a new member",
  );
}
