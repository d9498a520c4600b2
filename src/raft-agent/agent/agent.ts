/**
 * Assembles one member, from the disk up: identity, log and store, state machine, connections with peers, consensus,
 * services, listeners. Only here are all modules imported. A layer calls the ones below it and reports to the ones
 * above it through events.
 */
import type { Logger } from "pino";
import { systemClock } from "../../base/clock.ts";
import { errorText } from "../../base/haplan-error.ts";
import { isTlsUrl, listenAddress } from "../../base/listen-place.ts";
import { createRandom } from "../../base/random.ts";
import type { AgentConfig } from "../config/agent-config.ts";
import type { BackupSchedule } from "../config/backup-schedule.ts";
import type { MemberId } from "../raft/entry.ts";
import { checkBeforeServing } from "../services/corruption/initial-corruption-check.ts";
import type { MemberServices } from "../services/member-services.ts";
import { StateMachine } from "../state-machine/state-machine.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import { type AgentEvents, createAgentEvents } from "./agent-events.ts";
import { ClientListeners } from "./clients/client-listeners.ts";
import { openSnapshots } from "./disk/open-snapshots.ts";
import { type MemberStorage, openStorage } from "./disk/open-storage.ts";
import { retainLog } from "./disk/retain-log.ts";
import { FailStop, removedError } from "./fail-stop.ts";
import { createGrpcServer, seedOf } from "./from-config.ts";
import { logEvents } from "./log-events.ts";
import { announceMember } from "./loops/announce-member.ts";
import { FirstElection } from "./loops/first-election.ts";
import { MemberClock } from "./loops/member-clock.ts";
import { type BackupWriter, ScheduledBackups } from "./loops/scheduled-backups.ts";
import { transferLeadershipAway } from "./loops/transfer-leadership-away.ts";
import { notifySystemd } from "./notify-systemd.ts";
import { type Consensus, openConsensus } from "./open-consensus.ts";
import { followMembership, openPeers } from "./open-peers.ts";
import { openServices } from "./open-services.ts";
import { recordMetrics } from "./record-metrics.ts";
import { startWatchdog } from "./systemd-watchdog.ts";
import { createSelfSigned } from "./tls/self-signed.ts";

const certificateCheckMs = 1_000;

export type Agent = {
  readonly memberId: MemberId;
  readonly clusterId: string;
  /**
   * Transfers leadership away, drains clients, finishes the calls in flight, and persists everything. Takes at most
   * about 8 s.
   */
  close(): Promise<void>;
};

export type AgentOptions = {
  readonly config: AgentConfig;
  readonly logger: Logger;
  /** The number of lost log lines, for the metrics. */
  readonly droppedLogLines?: () => number;
  /** Writes the backups that the configuration schedules; without it, none are taken. */
  readonly backupWriter?: (schedule: BackupSchedule) => BackupWriter;
  /** The member cannot continue (its disk failed, or it was removed): the process has to exit. */
  readonly onStopped: (reason: string) => void;
};

/** @throws HaplanError: the data cannot be used, an address is in use, a certificate is missing. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { config, logger, onStopped } = options;
  const events = createAgentEvents();
  const failStop = new FailStop({ dataDir: config.dataDir, logger, onStopped }, events);
  for (const files of [config.clientTls, config.peerTls]) if (files !== null) createSelfSigned(files);
  const storage = await openStorage(config, events);
  try {
    return await startMember(options, { events, failStop, storage });
  } catch (error) {
    await storage.close();
    throw error;
  }
}

type Ground = { readonly events: AgentEvents; readonly failStop: FailStop; readonly storage: MemberStorage };

async function startMember(options: AgentOptions, { events, failStop, storage }: Ground): Promise<Agent> {
  const { config, logger, droppedLogLines = () => 0 } = options;
  const { identity } = storage;
  const random = createRandom(seedOf(identity.memberId));
  logEvents(events, config, logger);
  for (const notice of storage.notices) logger.warn(notice);
  const snapshots = await openSnapshots(config, storage, events, logger);
  const machine = new StateMachine({ self: identity.memberId, store: storage.store });
  const { membership } = machine;
  if (membership.isRemoved(identity.memberId)) throw removedError(config.dataDir);
  const transport = openPeers(config, { identity, membership, snapshots, random }, events, logger);
  const consensus = openConsensus(config, { storage, snapshots, machine, transport, random }, events);
  const services = openServices(config, { identity, machine, consensus }, events, logger);
  const grpc = createGrpcServer(config, services, events, logger);
  const metrics = recordMetrics(config, { services, grpc, transport, droppedLogLines }, events);
  const listeners = new ClientListeners({ config, services, metrics, grpc, logger });
  events.on("http1Connection", (socket) => listeners.serveHttp1(socket));
  events.on("drainRequested", (done) => void listeners.drainClients().then(done));
  retainLog(config, { storage, raft: consensus.raft }, events);
  const clock = new MemberClock(config, consensus, events);
  const backups = scheduleBackups(options, { consensus, services, transport }, events);
  const agent = new RunningAgent(options, {
    events,
    failStop,
    storage,
    transport,
    consensus,
    services,
    listeners,
    clock,
    backups,
  });
  try {
    await agent.start();
  } catch (error) {
    await agent.close();
    throw error;
  }
  return agent;
}

type Member = Ground & {
  readonly transport: PeerTransport;
  readonly consensus: Consensus;
  readonly services: MemberServices;
  readonly listeners: ClientListeners;
  readonly clock: MemberClock;
  readonly backups: ScheduledBackups | null;
};

class RunningAgent implements Agent {
  readonly memberId: MemberId;
  readonly clusterId: string;
  readonly #options: AgentOptions;
  readonly #member: Member;
  readonly #closing = new AbortController();
  #certificateCheck: NodeJS.Timeout | undefined = undefined;
  #closed: Promise<void> | null = null;

  constructor(options: AgentOptions, member: Member) {
    this.#options = options;
    this.#member = member;
    this.memberId = member.storage.identity.memberId;
    this.clusterId = member.storage.identity.clusterId;
  }

  /**
   * Opens the ports and starts the clock. A member that has to be compared first communicates with its peers before it
   * serves.
   */
  async start(): Promise<void> {
    const { config, logger } = this.#options;
    const { events, storage, transport, consensus, services, listeners, clock } = this.#member;
    const { membership } = services.machine;
    followMembership(transport, { identity: storage.identity, membership }, events);
    for (const url of config.listenPeerUrls) await transport.listen(listenAddress(url), isTlsUrl(url));
    // Before the clock starts: an address in use is detected before this member has voted.
    await listeners.listen();
    clock.start();
    campaignFirst(config, { consensus, transport }, events);
    if (config.initialCorruptCheck) await checkBeforeServing(services.context, (level, text) => logger[level](text));
    if (config.clientTls !== null) {
      this.#certificateCheck = setInterval(() => this.#reloadCertificates(), certificateCheckMs);
    }
    if (this.#hasEverAnnounced()) listeners.serve();
    const announcement = { name: config.name, clientUrls: config.advertiseClientUrls };
    announceMember(services, announcement, systemClock, this.#closing.signal).then(
      () => this.#announced(),
      (error) => events.emit("failed", error),
    );
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { failStop, storage, transport, consensus, services, listeners, clock, backups } = this.#member;
    services.announceShutdown();
    const backupsStopped = backups?.stop();
    await transferLeadershipAway(consensus.driver, transport);
    // A failed member finishes nothing.
    if (!failStop.hasStopped) {
      services.endLongLivedStreams();
      await listeners.drain();
    }
    failStop.close();
    this.#closing.abort();
    clock.stop();
    clearInterval(this.#certificateCheck);
    services.stop();
    await listeners.close();
    consensus.stop();
    await transport.close();
    await backupsStopped;
    await storage.close();
  }

  /**
   * If so, its store holds everything that the cluster had when this member joined. One that joins, or bootstraps
   * later than the others, would serve requests that need no majority from an empty store.
   */
  #hasEverAnnounced(): boolean {
    const self = this.#member.services.machine.membership.get(this.memberId);
    return self !== undefined && self.name !== "";
  }

  /** The cluster knows this member and has a leader: at this point etcd, too, serves and reports readiness. */
  #announced(): void {
    const { logger } = this.#options;
    if (this.#closing.signal.aborted) return;
    this.#member.listeners.serve();
    logger.info({ "local-member-id": this.memberId, "cluster-id": this.clusterId }, "ready to serve client requests");
    notifySystemd(process.env, (text) => logger.warn(text));
    startWatchdog(process.env, (text) => logger.warn(text));
  }

  #reloadCertificates(): void {
    try {
      if (this.#member.listeners.reloadCertificates()) this.#options.logger.info("loaded renewed certificates");
    } catch (error) {
      this.#options.logger.error(errorText(error));
    }
  }
}

/** Null if the configuration schedules none. */
function scheduleBackups(
  { config: { backups: schedule }, backupWriter, logger }: AgentOptions,
  { consensus, services, transport }: Pick<Member, "consensus" | "services" | "transport">,
  events: AgentEvents,
): ScheduledBackups | null {
  if (schedule === null || backupWriter === undefined) return null;
  const voters = (): readonly MemberId[] => consensus.driver.status().configuration.voters;
  const parts = { schedule, writer: backupWriter(schedule), services, transport, voters, events, logger };
  const backups = new ScheduledBackups({ ...parts, clock: systemClock });
  events.on("housekeeping", () => backups.tick());
  return backups;
}

/** A new cluster does not wait for an election timeout. */
function campaignFirst(
  { preVote }: AgentConfig,
  { consensus, transport }: Pick<Member, "consensus" | "transport">,
  events: AgentEvents,
): void {
  const { client, driver } = consensus;
  const first = new FirstElection(
    {
      self: client.memberId,
      preVote,
      voters: () => driver.status().configuration.voters,
      isConnected: (peer) => transport.isConnected(peer),
      leader: () => client.leader(),
    },
    () => driver.step({ kind: "campaign" }),
  );
  events.on("peerConnected", () => first.consider());
  first.consider();
}
