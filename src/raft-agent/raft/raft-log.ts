/**
 * The log in memory: everything since the last compaction. The compaction point (`baseIndex`, `baseTerm`) is kept, so
 * that the first entry still has a predecessor to compare. Prefix sums of bytes answer every question about sizes
 * without a walk over the entries.
 */
import { AssertionError, assert } from "../../base/assert.ts";
import { type Entry, entryBytes, type LogIndex, type Term } from "./entry.ts";
import { EntryList } from "./entry-list.ts";
import type { LogEnd } from "./safety-rules.ts";

const noEntries: readonly Entry[] = [];

export class RaftLog {
  #baseIndex: LogIndex;
  #baseTerm: Term;
  /** The entries after `#baseIndex`. */
  #entries: EntryList;
  /** `#bytesUpTo[i]` is the size of the entries up to `#baseIndex + 1 + i`, plus `#baseBytes`. */
  #bytesUpTo: number[] = [];
  #baseBytes = 0;

  constructor(baseIndex: LogIndex, baseTerm: Term) {
    this.#baseIndex = baseIndex;
    this.#baseTerm = baseTerm;
    this.#entries = new EntryList(baseIndex + 1);
  }

  get baseIndex(): LogIndex {
    return this.#baseIndex;
  }

  get firstIndex(): LogIndex {
    return this.#baseIndex + 1;
  }

  get lastIndex(): LogIndex {
    return this.#entries.last;
  }

  get end(): LogEnd {
    const { last } = this.#entries;
    return { index: last, term: this.#entries.termAt(last) ?? this.#baseTerm };
  }

  /** The term at `index`, or null when it is compacted or not written yet. */
  termAt(index: LogIndex): Term | null {
    if (index === this.#baseIndex) return this.#baseTerm;
    return this.#entries.termAt(index) ?? null;
  }

  entryAt(index: LogIndex): Entry {
    return this.#entries.at(index) ?? fail(`the log holds index ${index}`);
  }

  append(entry: Entry): void {
    if (entry.index !== this.lastIndex + 1) fail(`entry ${entry.index} follows the last one, ${this.lastIndex}`);
    this.#bytesUpTo.push(this.#sumUpTo(this.lastIndex) + entryBytes(entry));
    this.#entries.push(entry);
  }

  /** Packs entries up to `index`, which are unlikely to be read again. */
  packUpTo(index: LogIndex): void {
    this.#entries.packUpTo(index);
  }

  /** Removes `index` and everything after it. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.#baseIndex && index <= this.lastIndex + 1, `truncation at ${index} is inside the log`);
    this.#entries.truncateFrom(index);
    this.#bytesUpTo.length = index - this.#baseIndex - 1;
  }

  /** Drops everything up to and including `index`; copies what remains. */
  compact(index: LogIndex): void {
    const term = this.termAt(index);
    assert(term !== null && index >= this.#baseIndex, `compaction at ${index} is inside the log`);
    this.#baseBytes = this.#sumUpTo(index);
    this.#entries.dropUpTo(index);
    this.#bytesUpTo = this.#bytesUpTo.slice(index - this.#baseIndex);
    this.#baseIndex = index;
    this.#baseTerm = term;
  }

  /** Starts over behind an installed snapshot. */
  reset(baseIndex: LogIndex, baseTerm: Term): void {
    this.#entries = new EntryList(baseIndex + 1);
    this.#bytesUpTo = [];
    this.#baseBytes = 0;
    this.#baseIndex = baseIndex;
    this.#baseTerm = baseTerm;
  }

  /** Entries `from` to `to`, both included. */
  slice(from: LogIndex, to: LogIndex): readonly Entry[] {
    if (from > to) return noEntries;
    if (from <= this.#baseIndex || to > this.lastIndex) fail(`slice ${from} to ${to} is inside the log`);
    return this.#entries.slice(from, to);
  }

  /**
   * The last index such that the entries from `from` to it are at most `maxBytes`, but at least one entry, and not
   * beyond `to`.
   */
  lastWithinBytes(from: LogIndex, to: LogIndex, maxBytes: number): LogIndex {
    const limit = this.#sumUpTo(from - 1) + maxBytes;
    if (this.#sumUpTo(to) <= limit) return to;
    let fits = from;
    let tooFar = to;
    while (tooFar - fits > 1) {
      const middle = Math.floor((fits + tooFar) / 2);
      if (this.#sumUpTo(middle) <= limit) fits = middle;
      else tooFar = middle;
    }
    return fits;
  }

  /** The size of entries `from` to `to`, both included. */
  bytesBetween(from: LogIndex, to: LogIndex): number {
    return from > to ? 0 : this.#sumUpTo(to) - this.#sumUpTo(from - 1);
  }

  /**
   * The largest position at or before `index` whose term is at most `term`: where a log that ends in (`index`, `term`)
   * may still agree with this one. Both sides use it, so that each round skips a whole term (Raft §5.3, last part).
   */
  lastAtOrBelowTerm(index: LogIndex, term: Term): LogEnd {
    if (index < this.#baseIndex) return { index, term: 0 };
    let low = this.#baseIndex;
    let high = Math.min(index, this.lastIndex);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.termAt(middle) ?? 0) <= term) low = middle;
      else high = middle - 1;
    }
    return { index: low, term: this.termAt(low) ?? 0 };
  }

  #sumUpTo(index: LogIndex): number {
    if (index <= this.#baseIndex) return this.#baseBytes;
    const sum = this.#bytesUpTo[index - this.#baseIndex - 1];
    return sum ?? fail(`the log holds index ${index}`);
  }
}

/** `assert` for the hot path: the caller builds the message only on failure. */
function fail(message: string): never {
  throw new AssertionError(`Invariant broken: ${message}`);
}
