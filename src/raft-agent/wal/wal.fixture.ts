/** Shared by the tests of the log: short ways to create batches, and a model of what recovery must return. */

import { crc32c } from "../../base/crc32c.ts";
import type { Random } from "../../base/random.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import { type Entry, EntryKind, type HardState } from "../raft/entry.ts";
import type { WalBatch } from "./wal.ts";

export const noBatch: WalBatch = { hardState: null, entries: [], snapshot: null };

export function entry(index: number, term: number, data: string | Uint8Array = `${term}:${index}`): Entry {
  return { index, term, kind: EntryKind.normal, data: typeof data === "string" ? Buffer.from(data) : data };
}

export function snapshotAt(index: number, term: number): SnapshotMetadata {
  return {
    index,
    term,
    configuration: { voters: ["00000000000000aa", "fedcba9876543210"], votersOutgoing: [], learners: [] },
  };
}

/** The state of a log, as text that is easy to compare. */
export type LogText = {
  readonly hardState: string;
  readonly snapshotIndex: number;
  readonly entries: readonly string[];
};

export function textOf(log: {
  readonly hardState: HardState | null;
  readonly snapshot: SnapshotMetadata | null;
  readonly entries: readonly Entry[];
}): LogText {
  const entries = log.entries.map(({ index, term, kind, data }) => {
    const content = data.length > 40 ? `${data.length} bytes, ${crc32c(data)}` : Buffer.from(data).toString("latin1");
    return `${index}/${term}/${kind}/${content}`;
  });
  const hardState =
    log.hardState === null ? "none" : `${log.hardState.term} ${log.hardState.votedFor} ${log.hardState.commitIndex}`;
  return { hardState, snapshotIndex: log.snapshot?.index ?? 0, entries };
}

/** The log as arrays: the obvious implementation of what the real one does with files. */
export class ModelLog {
  hardState: HardState | null = null;
  snapshot: SnapshotMetadata | null = null;
  entries: Entry[] = [];

  get lastIndex(): number {
    return this.entries.at(-1)?.index ?? this.snapshot?.index ?? 0;
  }

  apply(batch: WalBatch): void {
    const { snapshot } = batch;
    if (snapshot !== null) {
      const matches = this.entries.some(({ index, term }) => index === snapshot.index && term === snapshot.term);
      this.entries = matches ? this.entries.filter(({ index }) => index > snapshot.index) : [];
      this.snapshot = snapshot;
    }
    const first = batch.entries[0];
    if (first !== undefined)
      this.entries = [...this.entries.filter(({ index }) => index < first.index), ...batch.entries];
    if (batch.hardState !== null) this.hardState = batch.hardState;
  }

  /** A random batch that a consensus core could append next. */
  draw(random: Random, dataBytesMax: number): WalBatch {
    const term = (this.hardState?.term ?? 1) + (random.below(6) === 0 ? 1 : 0);
    const base = this.snapshot?.index ?? 0;
    const commit = this.hardState?.commitIndex ?? 0;
    if (random.below(12) === 0) {
      const index = this.lastIndex + 1 + random.below(5);
      return {
        snapshot: snapshotAt(index, term),
        entries: [],
        hardState: { term, votedFor: null, commitIndex: index },
      };
    }
    const compactTo = commit > base && random.below(8) === 0 ? base + 1 + random.below(commit - base) : 0;
    const snapshot =
      compactTo === 0 ? null : snapshotAt(compactTo, this.entries.find(({ index }) => index === compactTo)!.term);
    const overwrites = random.below(5) === 0 ? random.below(this.lastIndex - Math.max(commit, base) + 1) : 0;
    const first = this.lastIndex + 1 - overwrites;
    const entries = Array.from({ length: random.below(5) + (overwrites > 0 ? 1 : 0) }, (_, at) =>
      entry(first + at, term, drawData(random, dataBytesMax)),
    );
    const last = entries.at(-1)?.index ?? this.lastIndex;
    const commitIndex = commit + random.below(last - commit + 1);
    return {
      snapshot,
      entries,
      hardState: { term, votedFor: random.below(2) === 0 ? null : "00000000000000aa", commitIndex },
    };
  }
}

function drawData(random: Random, bytesMax: number): Uint8Array {
  // Never zero: data that cannot be distinguished from an unwritten sector has a test of its own.
  return Uint8Array.from({ length: random.below(bytesMax + 1) }, () => 1 + random.below(255));
}
