/** Folds the records of a log, in order, into the state with which a member starts. Pure. */
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { Entry, HardState } from "../raft/entry.ts";
import { ByteReader } from "./byte-codec.ts";
import { type LogRecord, readRecord } from "./record.ts";

export type RecoveredLog = {
  readonly hardState: HardState | null;
  /** The last snapshot marker: entries up to its index are not in `entries`. */
  readonly snapshot: SnapshotMetadata | null;
  readonly entries: readonly Entry[];
};

export class Replay {
  #hardState: HardState | null = null;
  #snapshot: SnapshotMetadata | null = null;
  #entries: Entry[] = [];

  /** Applies one batch; entries keep views into `payload`. Returns the highest entry index in it, 0 without entries. */
  apply(payload: Uint8Array): number {
    const reader = new ByteReader(payload);
    let highest = 0;
    while (reader.remaining > 0) {
      const record = readRecord(reader);
      if (record.kind === "entry") highest = Math.max(highest, record.entry.index);
      this.#applyRecord(record);
    }
    return highest;
  }

  #applyRecord(record: LogRecord): void {
    if (record.kind === "hardState") this.#hardState = record.hardState;
    else if (record.kind === "entry") this.#applyEntry(record.entry);
    else {
      const { index } = record.snapshot;
      this.#snapshot = record.snapshot;
      const first = this.#entries[0]?.index ?? 0;
      if (!record.keepsSuffix) this.#entries = [];
      else if (first <= index) this.#entries.splice(0, index - first + 1);
    }
  }

  /** An entry replaces the one with its index and everything after it (Raft §5.3). */
  #applyEntry(entry: Entry): void {
    const first = this.#entries[0]?.index ?? entry.index;
    const at = entry.index - first;
    if (at < 0) this.#entries = [];
    else if (at < this.#entries.length) this.#entries.length = at;
    this.#entries.push(entry);
  }

  /** The result, or the contradiction found: then acknowledged data is missing. */
  finish(): RecoveredLog | { readonly problem: string } {
    const hardState = this.#hardState;
    const snapshot = this.#snapshot;
    const entries = this.#entries;
    const base = snapshot?.index ?? 0;
    const gap = entries.findIndex((entry, at) => entry.index !== base + 1 + at);
    if (gap !== -1) return { problem: `entry ${entries[gap]!.index} instead of entry ${base + 1 + gap}` };
    const last = base + entries.length;
    if (hardState !== null && hardState.commitIndex > last) {
      return { problem: `a commit index of ${hardState.commitIndex}, although the entries end at ${last}` };
    }
    return { hardState, snapshot, entries };
  }
}
