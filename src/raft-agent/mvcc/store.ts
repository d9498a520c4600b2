/**
 * The multi-version store as the state machine, the services and the watch hub see it. Semantics are etcd's: one new
 * revision per write transaction that changes something, sub-revisions for the changes inside it, history until it is
 * compacted. Everything but compaction, hashing and snapshots is synchronous.
 */
import type { EncodedKeyValue } from "../api/key-value.ts";
import type { RangeRequest } from "../api/range.ts";
import type { LogIndex, Term } from "../raft/entry.ts";
import type { Metadata, ReadSnapshot, StoreSize } from "./backend/backend.ts";

/** A RangeRequest may be handed in as it is. */
export type RangeQuery = Omit<RangeRequest, "serializable">;

export type RangeResult = {
  readonly kvs: readonly EncodedKeyValue[];
  /** Keys in the range at that revision, whatever limit and filters say. */
  readonly count: number;
  /** `limit` cut the result. */
  readonly more: boolean;
};

/** How much ranges may still read, all together: below zero once that was not enough, and what they read is cut. */
export type ReadBudget = { leftBytes: number };

/** A range whose key-values are read little by little, over several turns of the event loop. */
export type RangeCursor = {
  /** As in `RangeResult`. */
  readonly count: number;
  readonly more: boolean;
  /** Key-values that are not read yet. */
  readonly keysLeft: number;
  /** False once what was found may be compacted away or replaced: the range has to be opened again. */
  readonly readable: boolean;
  /** The next key-values, in order, until they are about `bytesMax` bytes: at least one, unless none is left. */
  read(bytesMax: number): EncodedKeyValue[];
};

/** What the index knows of a live key, without touching its value. */
export type KeyDescription = {
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
};

/** A revision cannot be read: compacted away, or not there yet. */
export class RevisionError extends Error {
  override readonly name = "RevisionError";
  readonly reason: "compacted" | "future";
  /** The store's compacted revision when it was thrown. */
  readonly compactedRevision: number;

  constructor(reason: "compacted" | "future", compactedRevision: number) {
    super(
      reason === "compacted"
        ? "mvcc: required revision has been compacted"
        : "mvcc: required revision is a future revision",
    );
    this.reason = reason;
    this.compactedRevision = compactedRevision;
  }
}

export type ReadView = {
  /** The latest revision this view sees. */
  readonly revision: number;
  /** @throws RevisionError */
  range(query: RangeQuery, budget?: ReadBudget): RangeResult;
  /** The latest key-value, or undefined. The bytes stay valid and must not be changed. */
  get(key: Uint8Array): EncodedKeyValue | undefined;
  describe(key: Uint8Array): KeyDescription | undefined;
  /**
   * Null, or why `revision` cannot be read in a transaction: a check before anything is written. 0 = latest; a negative
   * one is compacted, as in etcd, where a Range of its own takes it for the latest.
   */
  revisionProblem(revision: number): "compacted" | "future" | null;
};

/**
 * A write transaction: begun, used and ended within one turn of the event loop; only one at a time. It sees its own
 * writes. There is no rollback: check everything that can fail before the first change.
 */
export type WriteTransaction = ReadView & {
  /** Copies what it keeps. `lease` 0n detaches. Whether the lease exists is the caller's check. */
  put(key: Uint8Array, value: Uint8Array, lease: bigint): void;
  /** Deletes in key order and returns how many keys. `rangeEnd` as in a RangeRequest. */
  deleteRange(key: Uint8Array, rangeEnd: Uint8Array): number;
  /** Ends the transaction, tells the listeners, and returns the store's revision: a new one if anything changed. */
  end(): number;
};

/** One change, as listeners and watchers see it. */
export type StoreEvent = {
  readonly kind: "put" | "delete";
  readonly key: Uint8Array;
  readonly revision: number;
  /** The put key-value; for a delete, key and mod revision only. */
  readonly kv: EncodedKeyValue;
  /** A put that created its key (so there is no previous key-value). */
  readonly created: boolean;
};

export type WriteListener = (revision: number, events: readonly StoreEvent[]) => void;

/**
 * `clients` get the hash of an etcd. `members` compare that of the release before, which they have to share with it: a
 * difference would be taken for damage.
 */
export type HashReader = "clients" | "members";

export type KeyspaceHash = {
  readonly hash: number;
  readonly compactRevision: number;
  /** The revision that was hashed. */
  readonly revision: number;
};

/**
 * What was asked of the store since it was opened, operations inside of transactions counted one by one (etcd
 * `mvcc/metrics_txn.go`). A look at a key before it is written or compared is a range.
 */
export type StoreCounts = {
  ranges: number;
  puts: number;
  /** Of the keys and values put. */
  putBytes: number;
  deletes: number;
  /** Transactions of more than one operation. */
  txns: number;
};

/** Hears how long the store's rare and long pieces of work took, in milliseconds. */
export type StoreObserver = {
  /** One slice of a compaction, during which nothing else ran. */
  compactionSlice?(tookMs: number): void;
  /** A whole compaction, and how many revisions it removed. */
  compacted?(tookMs: number, removed: number): void;
  hashed?(tookMs: number): void;
  /** A snapshot was read to its end, or left. */
  exported?(tookMs: number): void;
};

export type Store = ReadView & {
  /** -1 while nothing was ever compacted. */
  readonly compactedRevision: number;
  /** Keys that exist now. */
  readonly keyCount: number;
  readonly counts: StoreCounts;
  beginWrite(): WriteTransaction;
  /** As `range`. @throws RevisionError */
  openRange(query: RangeQuery): RangeCursor;
  /** Live keys attached to a lease, in key order. */
  keysOfLease(lease: bigint): Uint8Array[];
  /** The key-value as it was at `revision`, or undefined (also when that is compacted). */
  getAt(key: Uint8Array, revision: number): EncodedKeyValue | undefined;
  /**
   * Every change of the revisions from `from` to `to`, both inclusive, in order, calling `visit` for each until it
   * returns false. What compaction removed is not there any more.
   */
  history(from: number, to: number, visit: (event: StoreEvent) => boolean): void;

  /** Small buckets beside the keys; written together with the consistent index. */
  readonly metadata: Metadata;
  /** The entry whose effects (and all before it) are in the store. */
  readonly consistentIndex: LogIndex;
  readonly consistentTerm: Term;
  /** Call in the same turn as the entry's changes. */
  setConsistentIndex(index: LogIndex, term: Term): void;
  /** The index that a crash of the machine cannot take back: the log may be trimmed up to here. */
  readonly flushedIndex: LogIndex;

  /**
   * Makes revisions below `revision` unreadable at once and scrubs them in the background; resolves when scrubbed.
   * @throws RevisionError (synchronously): at or below the compacted one, or in the future.
   */
  compact(revision: number): Promise<void>;
  /** etcd's HashKV. 0 = the current revision. @throws RevisionError */
  hashKv(revision: number, reader?: HashReader): Promise<KeyspaceHash>;

  size(): StoreSize;
  /** Called after each write transaction that changed something. Returns how to stop. */
  onWrite(listener: WriteListener): () => void;
  /** Everything as of the call, while writes go on. Close it: an open view keeps the backend from using space again. */
  view(): Promise<ReadSnapshot>;
  /** A consistent copy of everything (metadata and indexes included) as of the call, while writes go on. */
  exportSnapshot(): AsyncIterable<Uint8Array>;
  /**
   * Replaces everything; a crash in between leaves the old or the new. Nothing may write meanwhile. `onReplaced` runs in the
   * turn in which the store holds the new content, before anybody else reads it: what is derived from the content is
   * replaced there, so that it never disagrees with the store.
   */
  importSnapshot(chunks: AsyncIterable<Uint8Array>, onReplaced?: () => void): Promise<void>;
  /** Resolves when everything written so far is flushed. */
  flush(): Promise<void>;
  close(): Promise<void>;
};
