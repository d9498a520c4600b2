/**
 * One process of a member, assembled like the agent: the real core, run loop, log, state machine, store, services and
 * snapshot exchange, over simulated time, network and disk.
 */
import { createRandom, type Random } from "../../src/base/random.ts";
import { type AgentEvents, createAgentEvents } from "../../src/raft-agent/agent/agent-events.ts";
import { LogRetention } from "../../src/raft-agent/agent/disk/log-retention.ts";
import { SnapshotExchange } from "../../src/raft-agent/agent/disk/snapshot-exchange.ts";
import { announceClusterVersion, announceMember } from "../../src/raft-agent/agent/loops/announce-member.ts";
import { settledTicks } from "../../src/raft-agent/agent/loops/tick-timer.ts";
import { ConsensusClient } from "../../src/raft-agent/consensus/consensus-client.ts";
import { ConsensusDriver } from "../../src/raft-agent/consensus/consensus-driver.ts";
import {
  decodePeerRequest,
  encodePeerResponse,
  isPeerRequestKind,
  type PeerRequest,
  type PeerResponse,
} from "../../src/raft-agent/consensus/peer-request.ts";
import type { ServerCall, StreamHandler } from "../../src/raft-agent/grpc/call.ts";
import type { Store } from "../../src/raft-agent/mvcc/store.ts";
import { awaitsSnapshot } from "../../src/raft-agent/raft/bootstrap.ts";
import type { SnapshotMetadata } from "../../src/raft-agent/raft/configuration.ts";
import type { LogIndex, MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { Message } from "../../src/raft-agent/raft/message.ts";
import { Raft } from "../../src/raft-agent/raft/raft.ts";
import type { Ready, SoftState } from "../../src/raft-agent/raft/ready.ts";
import { safetyRules } from "../../src/raft-agent/raft/safety-rules.ts";
import type { RestoredState } from "../../src/raft-agent/raft/state.ts";
import type { MemberServices } from "../../src/raft-agent/services/member-services.ts";
import { openSnapshotStore } from "../../src/raft-agent/snapshot/snapshot-store.ts";
import type { MembershipChange } from "../../src/raft-agent/state-machine/membership.ts";
import type { StateMachine } from "../../src/raft-agent/state-machine/state-machine.ts";
import type { Wal } from "../../src/raft-agent/wal/wal.ts";
import type { Host } from "./host.ts";
import type { Endpoint } from "./network.ts";
import { createMachine, createServices, type Opened, openDisk } from "./open-disk.ts";
import { newerVersion } from "./releases.ts";
import type { Life } from "./simulated-time.ts";
import { textNumber } from "./trace.ts";
import type { World } from "./world.ts";

const tickMs = 10;
const housekeepingMs = 100;
/** The remaining committed entries wait for another turn. */
const entriesInOneTurn = 5;
/** The delay of the mutant `notifiesLateOfReplacement`. */
const notifiedLateMs = 20;

/** The core, reporting to an observer. */
class ObservedRaft extends Raft {
  change: (ready: Ready) => Ready = (ready) => ready;

  override takeReady(): Ready | null {
    const ready = super.takeReady();
    return ready === null ? null : this.change(ready);
  }
}

export class MemberProcess implements Endpoint {
  readonly life: Life;
  readonly version: number;
  readonly services: MemberServices;
  readonly driver: ConsensusDriver;
  readonly store: Store;
  readonly link: ConsensusClient;
  readonly #world: World;
  readonly #host: Host;
  readonly #raft: ObservedRaft;
  readonly #snapshots: SnapshotExchange;
  readonly #retention: LogRetention;
  #appliedEntries = 0;
  #soft: SoftState = { role: "follower", leader: null, term: 0 };

  /**
   * Recovers the content of the disk and joins the network. Rejects when the member cannot start; hangs when it was
   * killed.
   */
  static async start(world: World, host: Host, life: Life): Promise<MemberProcess> {
    const opened = await openDisk(world, host, life);
    const events = createAgentEvents();
    const snapshots = new SnapshotExchange({
      files: await openSnapshotStore({ fileSystem: host.disk.mount(), directory: "snap", clock: life.clock }),
      store: opened.store,
      onInstalled: (index) => {
        const tell = (): unknown => events.emit("snapshotInstalled", index);
        if (world.mutations.notifiesLateOfReplacement === true) life.after(notifiedLateMs, tell);
        else tell();
      },
      onLog: () => {},
    });
    if (awaitsSnapshot(opened.restored.snapshot.index, opened.store.consistentIndex)) {
      await snapshots.install(opened.restored.snapshot.index);
    }
    if (!life.alive) throw new Error("the process has ended");
    return new MemberProcess(world, host, life, { opened, snapshots, events });
  }

  private constructor(
    world: World,
    host: Host,
    life: Life,
    parts: {
      readonly opened: Opened;
      readonly snapshots: SnapshotExchange;
      readonly events: AgentEvents;
    },
  ) {
    const { opened, snapshots, events } = parts;
    this.life = life;
    this.version = host.version;
    this.store = opened.store;
    this.#world = world;
    this.#host = host;
    this.#snapshots = snapshots;
    world.observer.started?.(host.id, opened.restored.snapshot, opened.restored.entries);
    this.#raft = this.#createRaft(opened.restored);
    const machine = createMachine(world, host, opened.store);
    this.driver = this.#createDriver(opened.wal, machine);
    const { network } = world;
    this.link = new ConsensusClient({
      memberId: host.id,
      electionTimeoutMs: world.profile.raft.electionTimeoutTicks * tickMs,
      appliedIndex: () => opened.store.consistentIndex,
      clock: life.clock,
      driver: this.driver,
      transport: {
        versionWith: (peer) => Math.min(this.version, network.versionOf(peer) ?? this.version),
        supportedVersion: (peer) => {
          const version = network.versionOf(peer);
          return world.mutations.agreesOnHighest === true && version !== null ? newerVersion : version;
        },
        request: (peer, kind, body, timeoutMs) => network.request(host.id, peer, kind, body, timeoutMs),
      },
      servePeer: (from, request, done) => this.#servePeer(from, request, done),
    });
    const services = createServices(world, machine, this.link, life, (change) => this.#followMembership(change));
    this.services = services;
    events.on("snapshotInstalled", (index) => this.#snapshotInstalled(index));
    this.#retention = this.#createRetention(opened);
    network.attach(host.id, this);
    host.runsSinceMs = world.time.nowMs;
    const atOnce = settledTicks(tickMs, world.profile.raft.heartbeatTicks * tickMs);
    let gathered = 0;
    // Like agent/loops/tick-timer.ts: several at once while a leader is known.
    life.every(tickMs * (0.95 + world.random.next() * 0.1), () => {
      gathered = this.#soft.leader === null ? 0 : (gathered + 1) % atOnce;
      if (this.#soft.leader === null) this.driver.tick();
      else if (gathered === 0) this.driver.tick(atOnce);
    });
    life.every(housekeepingMs, () => services.tick());
    const announcement = { name: `m-${host.id.slice(0, 4)}`, clientUrls: [`http://${host.id}:2379`] };
    announceMember(services, announcement, life.clock, new AbortController().signal).catch((error) => this.fail(error));
  }

  get role(): SoftState["role"] {
    return this.#soft.role;
  }

  get term(): number {
    return this.#soft.term;
  }

  /** A client's call arrives. */
  call(request: Uint8Array, call: ServerCall): void {
    const method = this.services.methods.find(({ path }) => path === call.path);
    if (method?.kind === "unary") method.handle(request, call);
  }

  /** A client opens a stream. */
  openStream(call: ServerCall): StreamHandler | null {
    const method = this.services.methods.find(({ path }) => path === call.path);
    return method?.kind === "stream" ? method.open(call) : null;
  }

  // Events of the network.

  receive(message: Message): void {
    this.driver.step({ kind: "message", message });
  }

  connected(peer: MemberId): void {
    this.link.peerConnected(peer);
  }

  disconnected(peer: MemberId): void {
    this.link.peerDisconnected(peer);
    this.driver.step({ kind: "peerDisconnected", peer });
  }

  answer(from: MemberId, kind: number, bytes: Uint8Array, done: (answer: Uint8Array) => void): void {
    const request = isPeerRequestKind(kind) ? decodePeerRequest(kind, bytes) : null;
    if (request === null || !isPeerRequestKind(kind)) throw new Error(`a request of kind ${kind} cannot be read`);
    this.#servePeer(from, request, (answer) => done(encodePeerResponse(kind, answer)));
  }

  #servePeer(from: MemberId, request: PeerRequest, done: (answer: PeerResponse) => void): void {
    const { mutations, random } = this.#world;
    const asked = mutations.mistakesRetriedChanges === true ? withAnotherChangeId(request, random) : request;
    this.services.servePeer(from, asked, done);
  }

  async takeSnapshot(from: MemberId, metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const term = await this.#snapshots.receive(metadata, chunks);
    if (!this.life.alive) throw new Error("the process has ended");
    const message = { kind: "snapshotRequest", from, to: this.#host.id, term, snapshot: metadata } as const;
    this.driver.step({ kind: "message", message });
  }

  // Events of the member.

  #followMembership({ removed }: MembershipChange): void {
    if (removed.includes(this.#host.id)) this.#world.removed(this.#host);
  }

  #snapshotInstalled(index: LogIndex): void {
    if (!this.life.alive) return;
    this.services.snapshotInstalled();
    this.#retention.restartedAt(index);
    this.#world.statistics.snapshotsInstalled++;
    this.#note([index], () => `installed the snapshot up to ${index}`);
    this.#world.observer.applied?.(this.#host.id, this.store.consistentIndex, this.store);
    if (this.services.machine.membership.isRemoved(this.#host.id)) this.#world.removed(this.#host);
  }

  fail(error: unknown): void {
    if (this.life.alive) this.#world.memberFailed(this.#host, error);
  }

  #createRaft(restored: RestoredState): ObservedRaft {
    const { profile, mutations, random, observer } = this.#world;
    const { id } = this.#host;
    const raft = new ObservedRaft(
      {
        ...profile.raft,
        id,
        random: createRandom(random.below(2 ** 32)),
        rules: { ...safetyRules, ...mutations.rules },
      },
      restored,
    );
    raft.change = (ready) => {
      observer.ready?.(id, ready, raft.status().term);
      return mutations.ready?.(ready) ?? ready;
    };
    return raft;
  }

  #createDriver(wal: Wal, machine: StateMachine): ConsensusDriver {
    const { network, mutations, profile, random } = this.#world;
    return new ConsensusDriver(
      {
        raft: this.#raft,
        wal: mutations.wal?.(wal) ?? wal,
        machine: this.#observedMachine(machine),
        send: (message) => network.send(message),
        sendSnapshot: (request) => this.#sendSnapshot(request),
        installSnapshot: (index) => this.#snapshots.install(index),
        defer: (run) => this.life.after(random.next() * 0.05, run),
        beginApplying: () => () => ++this.#appliedEntries % entriesInOneTurn === 0,
      },
      {
        softState: (soft) => this.#softStateChanged(soft),
        applied: (index, bytes) => {
          this.services.applied(index);
          this.#retention.applied(index, bytes).catch((error) => this.fail(error));
        },
        readConfirmed: (context, index) =>
          this.services.readConfirmed(context, mutations.readsBeforeApplied === true ? 0 : index),
        readFailed: (context) => this.services.readFailed(context),
        failed: (error) => this.fail(error),
      },
      { diskStallMs: profile.raft.electionTimeoutTicks * tickMs },
    );
  }

  #observedMachine(machine: StateMachine): Pick<StateMachine, "apply" | "applyConfiguration" | "appliedIndex"> {
    const { observer } = this.#world;
    const tell = (index: LogIndex): void => observer.applied?.(this.#host.id, index, this.store);
    return {
      get appliedIndex() {
        return machine.appliedIndex;
      },
      apply: (index, term, payload) => {
        if (index <= machine.appliedIndex) return;
        machine.apply(index, term, payload);
        tell(index);
      },
      applyConfiguration: (index, term, configuration, context) => {
        if (index <= machine.appliedIndex) return;
        machine.applyConfiguration(index, term, configuration, context);
        tell(index);
      },
    };
  }

  #sendSnapshot(request: Parameters<SnapshotExchange["send"]>[0]): void {
    const { network } = this.#world;
    const { id } = this.#host;
    this.#snapshots.send(request, {
      driver: this.driver,
      transport: { sendSnapshot: (peer, metadata, chunks) => network.sendSnapshot(id, peer, metadata, chunks) },
      raft: this.#raft,
    });
  }

  #createRetention({ wal, store, restored }: Opened): LogRetention {
    const { mutations, profile } = this.#world;
    const flushed =
      mutations.compactsUnflushed === true
        ? { flush: () => Promise.resolve(), flushedIndex: Number.MAX_SAFE_INTEGER }
        : store;
    const raft = {
      snapshotMetadata: (index: LogIndex) => this.#raft.snapshotMetadata(index),
      status: () => this.#raft.status(),
      compact: (index: LogIndex) => {
        this.#world.statistics.compactions++;
        this.#raft.compact(index);
      },
    };
    return new LogRetention({ store: flushed, wal, raft }, profile.retention, restored.snapshot.index);
  }

  #softStateChanged(soft: SoftState): void {
    if (soft.role === "leader" && this.#soft.role !== "leader") this.#world.statistics.elections++;
    this.#soft = soft;
    this.link.softStateChanged(soft);
    this.services.leadershipChanged();
    announceClusterVersion(this.services);
    this.#note([textNumber(soft.role), soft.term], () => `is ${soft.role} in term ${soft.term}`);
  }

  #note(numbers: readonly number[], text: () => string): void {
    const { trace, time } = this.#world;
    trace.note(time.nowMs, [textNumber(this.#host.id), ...numbers], () => `${this.#host.id.slice(0, 4)} ${text()}`);
  }
}

function withAnotherChangeId(request: PeerRequest, random: Random): PeerRequest {
  const { changeId } = request;
  if (changeId === null) return request;
  return { ...request, changeId: random.below(256).toString(16).padStart(2, "0") + changeId.slice(2) };
}
