/**
 * Assembles one member's services: `agent.ts` creates them once and then reports the events of consensus. The methods
 * below are the whole interface from consensus to services; the reverse is `ConsensusPort`.
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { PasswordHasher } from "../auth/password-hasher.ts";
import type { ConsensusPort } from "../consensus/consensus-port.ts";
import { MemberChanges } from "../consensus/member-changes.ts";
import type { PeerRequest, PeerResponse } from "../consensus/peer-request.ts";
import { defaultProposerLimits, Proposer, type ProposerLimits } from "../consensus/proposer.ts";
import { ProtocolAgreement } from "../consensus/protocol-agreement.ts";
import { ReadQueue } from "../consensus/read-queue.ts";
import { createWatchHub, type WatchHub } from "../mvcc/watch/watch-hub.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { LogIndex, MemberId, Term } from "../raft/entry.ts";
import type { Alarm } from "../state-machine/apply-result.ts";
import type { ChangeId } from "../state-machine/change-id.ts";
import { Lessor } from "../state-machine/lessor.ts";
import type { MembershipChange } from "../state-machine/membership.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import { Access, type AccessOptions, type AuthSettings, defaultAuthSettings } from "./access.ts";
import { createAuthMethods } from "./auth-service.ts";
import { authorizedStream } from "./authorized-stream.ts";
import { AutoCompaction, type AutoCompactionMode } from "./auto-compaction.ts";
import { createClusterMethods } from "./cluster-service.ts";
import { createElectionMethods } from "./concurrency/election-service.ts";
import { LocalCalls } from "./concurrency/local-calls.ts";
import { createLockMethods } from "./concurrency/lock-service.ts";
import { CorruptionCheck, createCorruptionPeerMethods, type StateRepair } from "./corruption/corruption-check.ts";
import { createDowngradeMethod } from "./downgrade.ts";
import { createHaplanMethods } from "./haplan-service.ts";
import { createHealthMethods } from "./health-service.ts";
import { createKvMethods } from "./kv-service.ts";
import { followLeadership, tickLeases } from "./lease-expirer.ts";
import { createLeaseMethods, createLeasePeerMethods } from "./lease-service.ts";
import { LongLivedStreams } from "./long-lived-streams.ts";
import { createMaintenanceMethods } from "./maintenance-service.ts";
import { type PeerMethods, servePeerRequest } from "./peer-requests.ts";
import { createRangeStreamMethod } from "./range-stream.ts";
import { RequireLeaderStreams } from "./require-leader-streams.ts";
import type { ServedMethod, UnaryMethod } from "./served-method.ts";
import {
  createServiceContext,
  defaultServiceLimits,
  type ServiceContext,
  type ServiceLimits,
} from "./service-context.ts";
import { SpaceQuota } from "./space-quota.ts";
import { createWatchService, type WatchService } from "./watch-service.ts";

export type MemberServicesOptions = {
  readonly consensus: ConsensusPort;
  readonly machine: StateMachine;
  readonly clock: Clock;
  readonly clusterId: string;
  readonly clusterToken: string;
  /** The etcd version that this member reports. */
  readonly version: string;
  /** etcd's `--quota-backend-bytes`: 0 = 2 GiB, negative = none. */
  readonly quotaBytes: number;
  /** etcd's `--auto-compaction-mode` and `--auto-compaction-retention`; off by default. */
  readonly autoCompaction?: AutoCompactionMode;
  /** How often members compare their data; never, by default. */
  readonly corruptionCheckMs?: number;
  /** How a corrupt member is repaired; without it, it is only reported. */
  readonly stateRepair?: StateRepair;
  /** Messages for the operator. */
  readonly onNotice?: (level: "warn" | "error", text: string) => void;
  readonly limits?: Partial<ServiceLimits>;
  readonly proposerLimits?: Partial<ProposerLimits>;
  /** 32 random hex digits, by default. */
  readonly createChangeId?: () => ChangeId;
  /** Numbers from 0 to 1; `Math.random` by default. */
  readonly random?: () => number;
  /** Runs a task in a later turn; `setImmediate` by default. */
  readonly nextTurn?: (task: () => void) => void;
  /** How users authenticate, once authentication is enabled. */
  readonly auth?: Partial<AuthSettings>;
  /** Members were added, changed or removed: the transport follows. */
  readonly onMembershipChanged?: (change: MembershipChange, configuration: Configuration) => void;
  /** Drains the clients of this member; resolves once they have been notified, or after a while. */
  readonly drainClients?: () => Promise<void>;
  readonly onLeaseGranted?: (ttlSeconds: number) => void;
  readonly onAlarmsChanged?: (alarms: readonly Alarm[]) => void;
};

export class MemberServices {
  readonly machine: StateMachine;
  readonly context: ServiceContext;
  /** Everything that is served to clients. */
  readonly methods: readonly ServedMethod[];
  readonly watchHub: WatchHub;
  readonly watchService: WatchService;
  readonly #peerMethods: PeerMethods;
  readonly #autoCompaction: AutoCompaction;
  readonly #agreement: ProtocolAgreement;
  readonly #requireLeader: RequireLeaderStreams;
  readonly #longLived: LongLivedStreams = new LongLivedStreams();
  readonly #corruptionCheck: CorruptionCheck;
  readonly #hasher: PasswordHasher = new PasswordHasher();

  constructor(options: MemberServicesOptions) {
    const { consensus, machine, clock } = options;
    const { store } = machine;
    const proposerLimits = { ...defaultProposerLimits(consensus.electionTimeoutMs), ...options.proposerLimits };
    const { requestTimeoutMs } = proposerLimits;
    const createChangeId = options.createChangeId ?? ((): ChangeId => randomBytes(16).toString("hex"));
    const appliedTerm = (): Term => store.consistentTerm;
    const { versions } = machine;
    const agreedVersion = (): number => machine.membership.protocolVersion;
    const proposer = new Proposer({ consensus, clock, limits: proposerLimits, appliedTerm, agreedVersion, versions });
    this.machine = machine;
    const { alarms, auth, leases, membership } = machine;
    const settings = { ...defaultAuthSettings, ...options.auth };
    const awaitCommitted: AccessOptions["awaitCommitted"] = (done) => this.context.reads.request(done);
    const access = new Access({ auth, consensus, settings, clock, requestTimeoutMs, awaitCommitted });
    const lessor = new Lessor(leases, clock);
    machine.listen({
      completed: (requestNumber, result) => proposer.complete(requestNumber, result),
      isAwaited: (requestNumber) => proposer.isAwaited(requestNumber),
      leaseGranted: (lease) => {
        lessor.granted(lease);
        options.onLeaseGranted?.(lease.ttlSeconds);
      },
      leaseRevoked: (id) => lessor.revoked(id),
      membershipChanged: (change, configuration) => options.onMembershipChanged?.(change, configuration),
      alarmsChanged: (alarms) => options.onAlarmsChanged?.(alarms),
      authChanged: (event) => access.authChanged(event),
    });
    this.context = createServiceContext({
      consensus,
      proposer,
      reads: new ReadQueue({ consensus, clock, requestTimeoutMs, waitingMax: proposerLimits.pendingMax }),
      machine,
      lessor,
      quota: new SpaceQuota({ member: consensus.memberId, store, alarms, proposer, quotaBytes: options.quotaBytes }),
      memberChanges: new MemberChanges({
        consensus,
        membership,
        proposer,
        appliedTerm,
        clock,
        requestTimeoutMs,
        createChangeId,
      }),
      createChangeId,
      access,
      clock,
      random: options.random ?? Math.random,
      limits: { ...defaultServiceLimits, ...options.limits },
      clusterId: options.clusterId,
      clusterToken: options.clusterToken,
      version: options.version,
      drainClients: options.drainClients ?? (() => Promise.resolve()),
    });
    this.#agreement = new ProtocolAgreement({ consensus, membership, proposer, versions });
    this.watchHub = createWatchHub({ store, ...(options.nextTurn && { nextTurn: options.nextTurn }) });
    this.watchService = createWatchService(this.context, this.watchHub);
    this.#autoCompaction = new AutoCompaction(this.context, options.autoCompaction ?? { mode: "off" });
    this.#requireLeader = new RequireLeaderStreams(this.context);
    const replacement = options.stateRepair ?? null;
    this.#corruptionCheck = new CorruptionCheck(this.context, {
      intervalMs: options.corruptionCheckMs ?? Number.POSITIVE_INFINITY,
      replacement,
      onNotice: (level, text) => options.onNotice?.(level, text),
    });
    const basic = [...createMethods(this.context, this.#hasher), this.watchService.method].map((method) =>
      method.kind === "stream"
        ? this.#longLived.bind(this.#requireLeader.bind(authorizedStream(this.context, method)))
        : method,
    );
    this.methods = [...basic, ...createConcurrencyMethods(this.context, new LocalCalls(basic))];
    this.#peerMethods = createPeerMethods(basic, [
      ...createLeasePeerMethods(this.context),
      ...createCorruptionPeerMethods(this.context, replacement, this.#corruptionCheck),
    ]);
  }

  /** A committed `normal` entry. @throws HaplanError `command/unknown`: the member must stop. */
  applyEntry(index: LogIndex, term: Term, payload: Uint8Array): void {
    this.machine.apply(index, term, payload);
  }

  applyConfiguration(index: LogIndex, term: Term, configuration: Configuration, context: Uint8Array): void {
    this.machine.applyConfiguration(index, term, configuration, context);
  }

  /** Everything up to `index` is applied, as `ConsensusPort.appliedIndex` reports: waiting reads may run. */
  applied(index: LogIndex): void {
    this.context.access.applied(index);
    followLeadership(this.context);
    this.context.reads.applied(index);
    this.context.memberChanges.tick();
  }

  /** The store was replaced with a snapshot's content. */
  snapshotInstalled(): void {
    this.machine.load();
    this.context.access.snapshotInstalled();
    this.watchHub.storeReplaced();
    this.applied(this.context.consensus.appliedIndex());
  }

  readConfirmed(context: number, index: LogIndex): void {
    this.context.reads.confirmed(context, index);
  }

  readFailed(context: number): void {
    this.context.reads.failed(context);
  }

  /** Role, term or leader changed. */
  leadershipChanged(): void {
    followLeadership(this.context);
    this.context.proposer.leaderChanged();
    this.context.memberChanges.tick();
  }

  /** Called about every 100 ms. */
  tick(): void {
    this.context.access.tick();
    this.context.proposer.tick();
    this.context.reads.tick();
    this.context.quota.tick();
    this.context.memberChanges.tick();
    this.context.memberChanges.promotePendingVoters();
    this.#requireLeader.tick();
    this.watchService.tick();
    this.#autoCompaction.tick();
    this.#agreement.tick();
    this.#corruptionCheck.tick();
    tickLeases(this.context);
  }

  /** The other end of `ConsensusPort.callPeer`. */
  servePeer(from: MemberId, request: PeerRequest, done: (answer: PeerResponse) => void): void {
    servePeerRequest(this.#peerMethods, from, request, done);
  }

  /** The member is going to stop: its health checks report that from now on, and everything is still served. */
  announceShutdown(): void {
    this.context.shutdown.begun = true;
  }

  /** It is not stopped after all. */
  revokeShutdown(): void {
    this.context.shutdown.begun = false;
  }

  /** Ends the long-lived streams; other calls are served as before. */
  endLongLivedStreams(): void {
    this.#longLived.end();
  }

  /** Every waiting caller gets `server stopped`. */
  stop(): void {
    this.#hasher.stop();
    this.context.access.stop();
    this.context.proposer.stop();
    this.context.reads.stop();
    this.watchService.stop();
    this.watchHub.close();
  }
}

function createMethods(context: ServiceContext, hasher: PasswordHasher): ServedMethod[] {
  return [
    ...createKvMethods(context),
    createRangeStreamMethod(context),
    ...createLeaseMethods(context),
    ...createClusterMethods(context),
    ...createMaintenanceMethods(context),
    createDowngradeMethod(context),
    ...createAuthMethods(context, hasher),
    ...createHealthMethods(context),
    ...createHaplanMethods(context),
  ];
}

/** The methods that are composed of other methods. */
function createConcurrencyMethods(context: ServiceContext, calls: LocalCalls): ServedMethod[] {
  return [...createLockMethods(context, calls), ...createElectionMethods(context, calls)];
}

/** Peers may call the methods of clients, and those that are for peers only. */
function createPeerMethods(methods: readonly ServedMethod[], own: readonly UnaryMethod[]): PeerMethods {
  const unaryMethods = [...own];
  for (const method of methods) if (method.kind === "unary") unaryMethods.push(method);
  return new Map(unaryMethods.map((method) => [method.path, method]));
}
