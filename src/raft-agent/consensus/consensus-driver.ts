/**
 * The run loop around the pure core: the only place that orders persist → send → apply (raft/ready.ts explains the
 * order). It knows neither sockets nor files: log, network, state machine and the end of an event-loop turn are ports,
 * so that the simulator runs the same loop.
 */
import { type ConfigurationEntry, decodeConfigurationEntry } from "../raft/configuration-codec.ts";
import { type Entry, EntryKind, type LogIndex } from "../raft/entry.ts";
import type { ConfigurationChange, ConfigurationResult, ProposalResult, RaftEvent } from "../raft/event.ts";
import type { Message, MessageOf } from "../raft/message.ts";
import type { Raft } from "../raft/raft.ts";
import type { Ready, SoftState } from "../raft/ready.ts";
import type { RaftStatus } from "../raft/status.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { Wal } from "../wal/wal.ts";

export type DriverPorts = {
  readonly raft: Raft;
  readonly wal: Pick<Wal, "append" | "pendingSinceMs">;
  readonly machine: Pick<StateMachine, "apply" | "applyConfiguration" | "appliedIndex">;
  send(message: Message): void;
  /**
   * Everything sent so far may be transmitted now: the peers' disks then work in parallel with our own, and with
   * applying.
   */
  flush?(): void;
  /** Streams the state machine to a follower that needs entries which the log no longer has; reports `snapshotSent`. */
  sendSnapshot(request: MessageOf<"snapshotRequest">): void;
  /** Replaces the state machine with the received snapshot at `index`, which is durable beside the log. */
  installSnapshot(index: LogIndex): Promise<void>;
  /** Runs once everything that arrived in this turn of the event loop has been processed. */
  defer(run: () => void): void;
  /**
   * Starts a slice of applying: the returned function reports, after an entry, whether the rest must wait for the next
   * turn.
   */
  beginApplying(): () => boolean;
};

export type DriverListener = {
  /** The leader, term or role changed. */
  softState(state: SoftState): void;
  applied(index: LogIndex, bytes: number): void;
  readConfirmed(context: number, index: LogIndex): void;
  readFailed(context: number): void;
  /** The core, the log or the state machine failed: nothing more is promised, and the member must stop. */
  failed(error: unknown): void;
};

export class ConsensusDriver {
  readonly #ports: DriverPorts;
  readonly #listener: DriverListener;
  readonly #diskStallMs: number;
  #awake = false;
  /** Runs before the turn's work is issued. */
  #turnEnd: (() => void)[] = [];
  #stopped = false;
  #commitIndex: LogIndex;
  #knowsLeader: boolean;
  /** The last append: when it is durable, so are all earlier ones. */
  #written: Promise<void> = Promise.resolve();
  /** Batches are reported to the core, and further snapshots installed, after the one that is being installed. */
  #installing: Promise<void> | null = null;
  /** Committed entries that are not applied yet. */
  #pendingEntries: (readonly Entry[])[] = [];
  /** The number of reasons not to apply anything now. */
  #suspensions = 0;

  constructor(ports: DriverPorts, listener: DriverListener, options: { readonly diskStallMs: number }) {
    this.#ports = ports;
    this.#listener = listener;
    this.#diskStallMs = options.diskStallMs;
    const { commitIndex, leader } = ports.raft.status();
    this.#commitIndex = commitIndex;
    this.#knowsLeader = leader !== null;
  }

  step(event: RaftEvent): void {
    this.#stepCore(event);
    if (!this.#stopped) this.#wake();
  }

  /**
   * Passes up to `count` ticks to the core, but only one at a time once no leader is known: members then campaign in
   * turn, tick by tick. A stalled disk is also detected here. A tick rarely causes work, so nothing is deferred.
   */
  tick(count = 1): void {
    if (this.#stopped) return;
    const pendingMs = this.#ports.wal.pendingSinceMs();
    if (pendingMs !== null && pendingMs > this.#diskStallMs) this.#stepCore({ kind: "diskStalled" });
    let left = count;
    do {
      this.#stepCore({ kind: "tick" });
      this.#drain();
    } while (--left > 0 && this.#knowsLeader);
  }

  /** A core that throws has detected that it must not continue. */
  #stepCore(event: RaftEvent): void {
    if (this.#stopped) return;
    try {
      this.#ports.raft.step(event);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The log owns the bytes from now on. */
  propose(payload: Uint8Array): ProposalResult {
    if (this.#stopped) return { accepted: false, reason: "noLeader" };
    const result = this.#ports.raft.propose([payload]);
    if (result.accepted) this.#wake();
    return result;
  }

  changeConfiguration(change: ConfigurationChange): ConfigurationResult {
    const result = this.#ports.raft.proposeConfiguration(change);
    this.#wake();
    return result;
  }

  /** @see ConsensusPort */
  onTickEnd(run: () => void): void {
    this.#turnEnd.push(run);
    this.#wake();
  }

  requestRead(context: number): void {
    if (this.#stopped) return;
    this.#ports.raft.requestRead(context);
    this.#wake();
  }

  /** The last commit index reported by the core; cheap, unlike `status`. */
  get commitIndex(): LogIndex {
    return this.#commitIndex;
  }

  status(): RaftStatus {
    return this.#ports.raft.status();
  }

  /**
   * Suspends applying, for example while the state machine is replaced; the returned function resumes it, unless there
   * is another reason to wait. The machine itself skips entries that the new state already contains.
   */
  suspendApplying(): () => void {
    this.#suspensions++;
    return () => {
      this.#suspensions--;
      if (this.#stopped) return;
      try {
        this.#applyPending();
      } catch (error) {
        this.#fail(error);
      }
      this.#wake();
    };
  }

  /** Accepts and issues nothing any more. */
  stop(): void {
    this.#stopped = true;
  }

  #wake(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.#ports.defer(() => {
      const runs = this.#turnEnd;
      this.#turnEnd = [];
      for (const run of runs) run();
      this.#awake = false;
      this.#drain();
    });
  }

  #drain(): void {
    if (this.#stopped) return;
    try {
      for (let ready = this.#ports.raft.takeReady(); ready !== null; ready = this.#ports.raft.takeReady()) {
        this.#execute(ready);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #execute(ready: Ready): void {
    if (ready.hardState !== null) this.#commitIndex = ready.hardState.commitIndex;
    if (ready.softState !== null) {
      this.#knowsLeader = ready.softState.leader !== null;
      this.#listener.softState(ready.softState);
    }
    this.#sendAll(ready.messages);
    if (ready.persistTicket !== null) this.#persist(ready, ready.persistTicket);
    const last = ready.committed.at(-1);
    if (last !== undefined) {
      // The hard state reports it only when something else is written.
      this.#commitIndex = Math.max(this.#commitIndex, last.index);
      this.#pendingEntries.push(ready.committed);
      this.#applyPending();
    }
    for (const { context, index } of ready.reads) this.#listener.readConfirmed(context, index);
    for (const context of ready.failedReads) this.#listener.readFailed(context);
  }

  #sendAll(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    for (const message of messages) {
      if (message.kind === "snapshotRequest") this.#ports.sendSnapshot(message);
      else this.#ports.send(message);
    }
    this.#ports.flush?.();
  }

  #persist(ready: Ready, ticket: number): void {
    const { entries, hardState, installSnapshot, messagesAfterPersist } = ready;
    // Without anything to write the ticket only waits for the writes in flight.
    const isEmpty = entries.length === 0 && hardState === null && installSnapshot === null;
    let durable = isEmpty ? this.#written : this.#ports.wal.append({ entries, hardState, snapshot: installSnapshot });
    this.#written = durable;
    if (this.#installing !== null) {
      const installed = this.#installing;
      durable = durable.then(() => installed);
    }
    if (installSnapshot !== null) {
      durable = durable.then(() => this.#install(installSnapshot.index));
      this.#installing = durable;
    }
    durable.then(
      () => this.#persisted(ticket, messagesAfterPersist),
      (error: unknown) => this.#fail(error),
    );
  }

  async #install(index: LogIndex): Promise<void> {
    const resume = this.suspendApplying();
    await this.#ports.installSnapshot(index);
    resume();
  }

  #persisted(ticket: number, messages: readonly Message[]): void {
    if (this.#stopped) return;
    this.#sendAll(messages);
    this.#ports.raft.step({ kind: "persisted", ticket });
    this.#drain();
  }

  /** In slices: a turn that applies for long would delay heartbeats and other clients. */
  #applyPending(): void {
    const isTimeOver = this.#ports.beginApplying();
    while (this.#suspensions === 0) {
      const entries = this.#pendingEntries.shift();
      if (entries === undefined) return;
      const count = this.#apply(entries, isTimeOver);
      const isPart = count < entries.length;
      if (isPart) this.#pendingEntries.unshift(entries.slice(count));
      if (isPart || (this.#pendingEntries.length > 0 && isTimeOver())) this.#ports.defer(this.suspendApplying());
    }
  }

  /** Returns how many of the entries were applied. */
  #apply(entries: readonly Entry[], isTimeOver: () => boolean): number {
    const { machine, raft } = this.#ports;
    let [bytes, count] = [0, 0];
    do {
      const entry = entries[count++]!;
      bytes += entry.data.length;
      if (entry.kind === EntryKind.normal) machine.apply(entry.index, entry.term, entry.data);
      else this.#applyConfiguration(entry, decodeConfigurationEntry(entry.data));
    } while (count < entries.length && !isTimeOver());
    const last = entries[count - 1]!.index;
    raft.step({ kind: "applied", index: last });
    this.#listener.applied(last, bytes);
    return count;
  }

  #applyConfiguration(entry: Entry, { configuration, context }: ConfigurationEntry): void {
    this.#ports.machine.applyConfiguration(entry.index, entry.term, configuration, context);
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listener.failed(error);
  }
}
