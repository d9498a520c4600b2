/**
 * A member in memory: the core, a disk that keeps only what was synced, and a state machine that records what it
 * applies. It performs a driver's duties one at a time, so that a schedule can interleave anything.
 */
import type { Configuration, SnapshotMetadata } from "../../src/raft-agent/raft/configuration.ts";
import type { Entry, HardState, LogIndex, MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { RaftEvent } from "../../src/raft-agent/raft/event.ts";
import type { Message } from "../../src/raft-agent/raft/message.ts";
import type { RaftOptions } from "../../src/raft-agent/raft/options.ts";
import { Raft } from "../../src/raft-agent/raft/raft.ts";
import type { Ready } from "../../src/raft-agent/raft/ready.ts";
import type { RestoredState } from "../../src/raft-agent/raft/state.ts";

/** The state that survives a crash. */
export type MemoryDisk = { hardState: HardState; snapshot: SnapshotMetadata; entries: Entry[] };

export class MemoryMember {
  readonly id: MemberId;
  readonly disk: MemoryDisk;
  /** Batches that were written but not synced, oldest first. */
  unsynced: Ready[] = [];
  appliedIndex: LogIndex;
  raft: Raft;

  constructor(options: RaftOptions, restored: RestoredState) {
    this.id = options.id;
    this.disk = { hardState: restored.hardState, snapshot: restored.snapshot, entries: [...restored.entries] };
    this.appliedIndex = restored.snapshot.index;
    this.raft = new Raft(options, restored);
  }

  step(event: RaftEvent): void {
    this.raft.step(event);
  }

  /** Takes the next `Ready`, and applies. Returns null when there is none. */
  takeReady(): Ready | null {
    const ready = this.raft.takeReady();
    if (ready === null) return null;
    if (ready.persistTicket !== null) this.unsynced.push(ready);
    const last = ready.committed.at(-1);
    if (last !== undefined) {
      this.appliedIndex = last.index;
      this.step({ kind: "applied", index: last.index });
    }
    return ready;
  }

  /** Syncs the oldest unsynced batch. Returns the messages that waited for it. */
  persist(): readonly Message[] {
    const batch = this.unsynced.shift();
    if (batch === undefined || batch.persistTicket === null) return [];
    this.#write(batch);
    if (batch.installSnapshot !== null) {
      this.appliedIndex = batch.installSnapshot.index;
      this.step({ kind: "applied", index: this.appliedIndex });
    }
    this.step({ kind: "persisted", ticket: batch.persistTicket });
    return batch.messagesAfterPersist;
  }

  /** Truncates the log at `index`, which is applied, as after a snapshot of the state machine. */
  compact(index: LogIndex): void {
    // While a received snapshot waits for the disk, the core's log starts after the disk's.
    const isBehindCore = index < this.raft.status().firstIndex - 1;
    if (index <= this.disk.snapshot.index || index > this.appliedIndex || isBehindCore) return;
    const snapshot = this.raft.snapshotMetadata(index);
    this.raft.compact(index);
    this.disk.entries = this.disk.entries.filter((entry) => entry.index > index);
    this.disk.snapshot = snapshot;
  }

  /** Loses everything but the disk and the first `surviving` unsynced batches, which had just reached it. */
  restart(options: RaftOptions, surviving = 0): void {
    for (const batch of this.unsynced.slice(0, surviving)) this.#write(batch);
    this.unsynced = [];
    this.appliedIndex = this.disk.snapshot.index;
    this.raft = new Raft(options, { ...this.disk, entries: [...this.disk.entries] });
  }

  #write({ installSnapshot, entries, hardState }: Ready): void {
    const { disk } = this;
    if (installSnapshot !== null) {
      disk.snapshot = installSnapshot;
      disk.entries = [];
    }
    const first = entries[0];
    if (first !== undefined) {
      disk.entries.length = first.index - disk.snapshot.index - 1;
      for (const entry of entries) disk.entries.push(entry);
    }
    if (hardState !== null) disk.hardState = hardState;
  }
}

/** Member number `n` as an id. */
export function memberId(n: number): MemberId {
  return n.toString(16).padStart(16, "0");
}

/** The number of a member made by `memberId`. */
export function memberNumber(id: MemberId): number {
  return Number.parseInt(id, 16);
}

/** A configuration in short: `1 2 3`, `1 2 3 (leaving 1 4 5) learners 6`. */
export function describeConfiguration({ voters, votersOutgoing, learners }: Configuration): string {
  const list = (members: readonly MemberId[]): string => members.map(memberNumber).join(" ");
  const outgoing = votersOutgoing.length > 0 ? ` and outgoing ${list(votersOutgoing)}` : "";
  return `voters ${list(voters)}${outgoing}${learners.length > 0 ? `, learners ${list(learners)}` : ""}`;
}
