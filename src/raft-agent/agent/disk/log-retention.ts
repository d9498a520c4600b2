/**
 * Decides how much of the log is kept. The state machine is durable by itself, so the log is only needed for restarts
 * (what the store had not flushed yet) and for followers that lag a little; those that lag more receive a snapshot.
 * Compacting never waits for anything: it covers only what is flushed anyway.
 */
import type { SnapshotMetadata } from "../../raft/configuration.ts";
import type { LogIndex } from "../../raft/entry.ts";
import type { WalBatch } from "../../wal/wal.ts";

export type RetentionLimits = {
  /** Applied entries after which the log is compacted (`--snapshot-count`). */
  readonly snapshotCount: number;
  /** Entries kept for slow followers (`--snapshot-catchup-entries`). */
  readonly catchupEntries: number;
  /** Payload bytes after which the log is compacted early; memory holds at most about twice that. */
  readonly bytesMax: number;
};

export type RetentionPorts = {
  readonly store: { readonly flushedIndex: LogIndex; flush(): Promise<void> };
  readonly wal: { append(batch: WalBatch): Promise<void>; truncateBefore(index: LogIndex): Promise<void> };
  readonly raft: {
    snapshotMetadata(index: LogIndex): SnapshotMetadata;
    compact(index: LogIndex): void;
    status(): { readonly firstIndex: LogIndex };
  };
};

export class LogRetention {
  readonly #ports: RetentionPorts;
  readonly #limits: RetentionLimits;
  /** The log starts after this entry. */
  #baseIndex: LogIndex;
  #bytesSinceCompaction = 0;
  #compacting = false;

  constructor(ports: RetentionPorts, limits: RetentionLimits, baseIndex: LogIndex) {
    this.#ports = ports;
    this.#limits = limits;
    this.#baseIndex = baseIndex;
  }

  /** The log now starts after `index`, because a snapshot was installed there. */
  restartedAt(index: LogIndex): void {
    this.#baseIndex = Math.max(this.#baseIndex, index);
    this.#bytesSinceCompaction = 0;
  }

  /** Resolves when the compaction that this may have started is done; rejects when the log cannot be written. */
  async applied(index: LogIndex, bytes: number): Promise<void> {
    this.#bytesSinceCompaction += bytes;
    const { snapshotCount, catchupEntries, bytesMax } = this.#limits;
    const held = index - this.#baseIndex;
    const tooLarge = this.#bytesSinceCompaction > bytesMax;
    if (this.#compacting || (held < snapshotCount + catchupEntries && !tooLarge)) return;
    this.#compacting = true;
    try {
      await this.#compact(index - (tooLarge ? Math.min(catchupEntries, Math.floor(held / 4)) : catchupEntries));
    } finally {
      this.#compacting = false;
    }
  }

  async #compact(wanted: LogIndex): Promise<void> {
    const { store, wal, raft } = this.#ports;
    if (store.flushedIndex < wanted) await store.flush();
    const index = Math.min(wanted, store.flushedIndex);
    // During the flush a snapshot from the leader may have replaced the log.
    if (index <= this.#baseIndex || index < raft.status().firstIndex) return;
    await wal.append({ entries: [], hardState: null, snapshot: raft.snapshotMetadata(index) });
    raft.compact(index);
    this.#baseIndex = Math.max(this.#baseIndex, index);
    this.#bytesSinceCompaction = 0;
    await wal.truncateBefore(index + 1);
  }
}
