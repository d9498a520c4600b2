/** The vocabulary of the replicated log (Raft §5.3). */

/** A term number; terms start at 1, 0 means "none yet". */
export type Term = number;

/** A position in the log; the first entry has index 1, 0 means "before the log". */
export type LogIndex = number;

/** A member's identity: 16 lower-case hex digits, the form in which etcd prints its uint64 ids. */
export type MemberId = string;

/** What an entry carries. An empty `normal` entry is the one a leader appends at the start of its term. */
export const EntryKind = { normal: 0, configuration: 1 } as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

export type Entry = {
  readonly term: Term;
  readonly index: LogIndex;
  readonly kind: EntryKind;
  /** Opaque to the core for `normal` entries; an encoded `Configuration` (and its context) otherwise. */
  readonly data: Uint8Array;
};

/** What a member must never forget (Raft figure 2, "persistent state"), plus the commit index to speed up restarts. */
export type HardState = {
  readonly term: Term;
  readonly votedFor: MemberId | null;
  readonly commitIndex: LogIndex;
};

/** What an entry weighs beside its payload: the term, index, kind and length that a log record and a message carry. */
const entryOverheadBytes = 24;

/** The weight of an entry in every limit of the core that is given in bytes. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + entryOverheadBytes;
}
