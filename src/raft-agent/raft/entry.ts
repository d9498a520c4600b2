/** The vocabulary of the replicated log (Raft §5.3). */

/** A term number; terms start at 1, 0 means "none yet". */
export type Term = number;

/** A position in the log; the first entry has index 1, 0 means "before the log". */
export type LogIndex = number;

/** A member's identity: 16 lowercase hex digits, the form in which etcd prints its uint64 ids. */
export type MemberId = string;

/** The kind of an entry. A leader appends an empty `normal` entry at the start of its term. */
export const EntryKind = { normal: 0, configuration: 1 } as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

export type Entry = {
  readonly term: Term;
  readonly index: LogIndex;
  readonly kind: EntryKind;
  /** Opaque to the core for `normal` entries; an encoded `Configuration` and its context otherwise. */
  readonly data: Uint8Array;
};

/** The state a member must persist (Raft figure 2, "persistent state"), plus the commit index to speed up restarts. */
export type HardState = {
  readonly term: Term;
  readonly votedFor: MemberId | null;
  readonly commitIndex: LogIndex;
};

/** The size of an entry beside its payload: the term, index, kind and length that a log record and a message carry. */
const entryOverheadBytes = 24;

/** The size of an entry for every byte limit of the core. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + entryOverheadBytes;
}
