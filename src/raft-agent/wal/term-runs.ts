/**
 * The terms of the log's entries, as runs: the only part of its content that the log keeps in memory, in order to
 * reject invalid appends and to know which entries a snapshot keeps. A few numbers, however long the log.
 */
import { assert } from "../../base/assert.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { Entry, LogIndex, Term } from "../raft/entry.ts";

export class TermRuns {
  lastIndex: LogIndex = 0;
  snapshotIndex: LogIndex = 0;
  /** Entries from `index` up to the next run have `term`. */
  #runs: { index: LogIndex; term: Term }[] = [];

  /** Checks that the entries are consecutive and continue or overwrite the log. */
  assertAppendable(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(
      first.index <= this.lastIndex + 1,
      () => `entry ${first.index} does not follow the log's last, ${this.lastIndex}`,
    );
    assert(
      first.index > this.snapshotIndex,
      () => `entry ${first.index} is inside the snapshot at ${this.snapshotIndex}`,
    );
    for (let at = 1; at < entries.length; at++) {
      assert(
        entries[at]!.index === first.index + at,
        () => `entry ${entries[at]!.index} is at offset ${at} from entry ${first.index}`,
      );
    }
  }

  append(entry: Entry): void {
    if (entry.index <= this.lastIndex) {
      while (this.#runs.length > 0 && this.#runs.at(-1)!.index >= entry.index) this.#runs.pop();
    }
    this.lastIndex = entry.index;
    if (this.#runs.at(-1)?.term !== entry.term) this.#runs.push({ index: entry.index, term: entry.term });
  }

  /**
   * Applies a snapshot. Returns whether the entries after it are kept: they are when the log has the snapshot's last
   * entry with the same term (Raft §7, step 6 of InstallSnapshot); otherwise the log is empty after it.
   */
  compact(snapshot: SnapshotMetadata): boolean {
    const keepsSuffix = this.#termAt(snapshot.index) === snapshot.term;
    if (!keepsSuffix) {
      this.#runs = [];
      this.lastIndex = snapshot.index;
    }
    const behind = this.#runs.filter((run) => run.index > snapshot.index);
    this.#runs = [{ index: snapshot.index, term: snapshot.term }, ...behind];
    this.snapshotIndex = snapshot.index;
    return keepsSuffix;
  }

  #termAt(index: LogIndex): Term | undefined {
    if (index > this.lastIndex) return undefined;
    return this.#runs.findLast((run) => run.index <= index)?.term;
  }
}
