/**
 * A run of log entries in memory. Entries that are still to be sent, written and applied are objects; applied ones,
 * which only a lagging follower needs, are packed, many into a few arrays outside the heap. Otherwise a log of a
 * hundred thousand entries would be most of what the garbage collector has to traverse.
 */
import type { Entry, EntryKind, LogIndex, Term } from "./entry.ts";

/** Entries packed together. */
export const packSize = 1024;
/** Larger payloads are kept as they are: one more object is negligible beside them. */
const packedBytesMax = 1024;

export class EntryList {
  #first: LogIndex;
  readonly #packs: Pack[] = [];
  /** Entries of the first pack that are already dropped. */
  #skipped = 0;
  #recent: Entry[] = [];

  /** `first` is the index that the first entry has or will have. */
  constructor(first: LogIndex) {
    this.#first = first;
  }

  get first(): LogIndex {
    return this.#first;
  }

  /** The last entry's index; `first` - 1 when there is none. */
  get last(): LogIndex {
    return this.#firstRecent + this.#recent.length - 1;
  }

  /** Adds the entry that follows the last one. */
  push(entry: Entry): void {
    this.#recent.push(entry);
  }

  /** Packs entries up to `index`, which is in the list or precedes it, as far as they fill whole packs. */
  packUpTo(index: LogIndex): void {
    while (index - this.#firstRecent + 1 >= packSize) this.#packs.push(new Pack(this.#recent.splice(0, packSize)));
  }

  /** Undefined outside the list. */
  at(index: LogIndex): Entry | undefined {
    const place = index - this.#firstRecent;
    if (place >= 0) return this.#recent[place];
    return index < this.#first ? undefined : this.#packOf(index).entry(index);
  }

  termAt(index: LogIndex): Term | undefined {
    const place = index - this.#firstRecent;
    if (place >= 0) return this.#recent[place]?.term;
    return index < this.#first ? undefined : this.#packOf(index).term(index);
  }

  /** Entries `from` to `to`, both included and in the list. */
  slice(from: LogIndex, to: LogIndex): readonly Entry[] {
    const firstRecent = this.#firstRecent;
    if (from >= firstRecent) return this.#recent.slice(from - firstRecent, to - firstRecent + 1);
    const entries: Entry[] = [];
    for (let index = from; index <= to; index++) entries.push(this.at(index)!);
    return entries;
  }

  /** Removes `index`, which is in the list or follows it, and everything after it. */
  truncateFrom(index: LogIndex): void {
    while (index < this.#firstRecent) {
      const firstKept = this.#packs.length === 1 ? this.#skipped : 0;
      this.#recent = [...this.#packs.pop()!.entries().slice(firstKept), ...this.#recent];
      if (this.#packs.length === 0) this.#skipped = 0;
    }
    this.#recent.length = index - this.#firstRecent;
  }

  /** Drops everything up to and including `index`, which is in the list or precedes it. */
  dropUpTo(index: LogIndex): void {
    let left = index + 1 - this.#first;
    const packed = this.#firstRecent - this.#first;
    if (left >= packed) {
      this.#recent = this.#recent.slice(left - packed);
      this.#packs.length = 0;
      this.#skipped = 0;
    } else {
      left += this.#skipped;
      this.#packs.splice(0, Math.floor(left / packSize));
      this.#skipped = left % packSize;
    }
    this.#first = index + 1;
  }

  get #firstRecent(): LogIndex {
    return this.#first + this.#packs.length * packSize - this.#skipped;
  }

  #packOf(index: LogIndex): Pack {
    return this.#packs[Math.floor((index - this.#first + this.#skipped) / packSize)]!;
  }
}

class Pack {
  readonly #first: LogIndex;
  readonly #terms = new Float64Array(packSize);
  readonly #kinds = new Uint8Array(packSize);
  readonly #ends = new Uint32Array(packSize);
  readonly #bytes: Uint8Array;
  readonly #large = new Map<number, Uint8Array>();

  constructor(entries: readonly Entry[]) {
    this.#first = entries[0]!.index;
    const isSmall = ({ data }: Entry): boolean => data.length <= packedBytesMax;
    this.#bytes = new Uint8Array(entries.reduce((sum, entry) => sum + (isSmall(entry) ? entry.data.length : 0), 0));
    let end = 0;
    for (const [place, entry] of entries.entries()) {
      this.#terms[place] = entry.term;
      this.#kinds[place] = entry.kind;
      if (isSmall(entry)) {
        this.#bytes.set(entry.data, end);
        end += entry.data.length;
      } else this.#large.set(place, entry.data);
      this.#ends[place] = end;
    }
  }

  term(index: LogIndex): Term {
    return this.#terms[index - this.#first]!;
  }

  entry(index: LogIndex): Entry {
    const place = index - this.#first;
    const start = place === 0 ? 0 : this.#ends[place - 1]!;
    const data = this.#large.get(place) ?? this.#bytes.subarray(start, this.#ends[place]!);
    return { term: this.#terms[place]!, index, kind: this.#kinds[place] as EntryKind, data };
  }

  entries(): Entry[] {
    return Array.from({ length: packSize }, (_, place) => this.entry(this.#first + place));
  }
}
