/**
 * The multi-version store as used by the state machine, the services and the watch hub. Semantics are etcd's: one new
 * revision per write transaction that changes something, sub-revisions for the changes inside it, history until it is
 * compacted. Everything but compaction, hashing and snapshots is synchronous.
 */
import type { EncodedKeyValue } from "../api/key-value.ts";
import type { RangeRequest } from "../api/range.ts";
import type { LogIndex, Term } from "../raft/entry.ts";
import type { Metadata, ReadSnapshot, StoreSize } from "./backend/backend.ts";

/** A RangeRequest may be passed as it is. */
export type RangeQuery = Omit<RangeRequest, "serializable">;

export type RangeResult = {
  readonly kvs: readonly EncodedKeyValue[];
  /** Keys in the range at that revision, regardless of limit and filters. */
  readonly count: number;
  /** The result was cut by `limit`. */
  readonly more: boolean;
};

/** How much ranges may still read in total: negative once that was not enough, and their results are truncated. */
export type ReadBudget = { leftBytes: number };

/** A range whose key-values are read incrementally, over several turns of the event loop. */
export type RangeCursor = {
  /** As in `RangeResult`. */
  readonly count: number;
  readonly more: boolean;
  /** Key-values not read yet. */
  readonly keysLeft: number;
  /** False once the result may have been compacted or replaced: the range has to be opened again. */
  readonly readable: boolean;
  /** The next key-values, in order, up to about `bytesMax` bytes: at least one, unless none is left. */
  read(bytesMax: number): EncodedKeyValue[];
};

/** The index record of a live key, without its value. */
export type KeyDescription = {
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
};

/** A revision cannot be read: compacted, or in the future. */
export class RevisionError extends Error {
  override readonly name = "RevisionError";
  readonly reason: "compacted" | "future";
  /** The store's compacted revision when the error was thrown. */
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
  /** The latest revision visible to this view. */
  readonly revision: number;
  /** @throws RevisionError */
  range(query: RangeQuery, budget?: ReadBudget): RangeResult;
  /** The latest key-value, or undefined. The bytes stay valid and must not be changed. */
  get(key: Uint8Array): EncodedKeyValue | undefined;
  describe(key: Uint8Array): KeyDescription | undefined;
  /**
   * Null, or why `revision` cannot be read in a transaction: a check before anything is written. 0 = latest; a
   * negative one is compacted, as in etcd, whereas a standalone Range treats it as the latest.
   */
  revisionError(revision: number): "compacted" | "future" | null;
};

/**
 * A write transaction: begun, used and ended within one turn of the event loop; only one at a time. It sees its own
 * writes. There is no rollback: check everything that can fail before the first change.
 */
export type WriteTransaction = ReadView & {
  /** Copies what it keeps. `lease` 0n detaches. The caller checks whether the lease exists. */
  put(key: Uint8Array, value: Uint8Array, lease: bigint): void;
  /** Deletes in key order and returns how many keys. `rangeEnd` as in a RangeRequest. */
  deleteRange(key: Uint8Array, rangeEnd: Uint8Array): number;
  /** Ends the transaction, notifies the listeners, and returns the store's revision: a new one if anything changed. */
  end(): number;
};

/** One change, as seen by listeners and watchers. */
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
 * `clients` get etcd's hash. `members` compare that of the previous release, which they must share with it: a
 * difference would be treated as corruption.
 */
export type HashReader = "clients" | "members";

export type KeyspaceHash = {
  readonly hash: number;
  readonly compactRevision: number;
  /** The hashed revision. */
  readonly revision: number;
};

/**
 * Operations on the store since it was opened; operations in transactions are counted one by one (etcd
 * `mvcc/metrics_txn.go`). Reading a key before it is written or compared is a range.
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

/** Observes the durations of the store's rare and long pieces of work, in milliseconds. */
export type StoreObserver = {
  /** One slice of a compaction, during which nothing else ran. */
  compactionSlice?(tookMs: number): void;
  /** A whole compaction, and how many revisions it removed. */
  compacted?(tookMs: number, removed: number): void;
  hashed?(tookMs: number): void;
  /** A snapshot was read to its end, or abandoned. */
  exported?(tookMs: number): void;
};

export type Store = ReadView & {
  /** -1 if nothing was ever compacted. */
  readonly compactedRevision: number;
  /** Keys that exist now. */
  readonly keyCount: number;
  readonly counts: StoreCounts;
  beginWrite(): WriteTransaction;
  /** Like `range`. @throws RevisionError */
  openRange(query: RangeQuery): RangeCursor;
  /** Live keys attached to a lease, in key order. */
  keysOfLease(lease: bigint): Uint8Array[];
  /** The key-value as of `revision`, or undefined (also when that is compacted). */
  getAt(key: Uint8Array, revision: number): EncodedKeyValue | undefined;
  /**
   * Visits every change of the revisions from `from` to `to`, both inclusive, in order, until `visit` returns false.
   * Compacted changes are not included.
   */
  history(from: number, to: number, visit: (event: StoreEvent) => boolean): void;

  /** Small buckets beside the keys; written together with the consistent index. */
  readonly metadata: Metadata;
  /** The last entry whose effects are in the store, with those of all entries before it. */
  readonly consistentIndex: LogIndex;
  readonly consistentTerm: Term;
  /** Call in the same turn as the entry's changes. */
  setConsistentIndex(index: LogIndex, term: Term): void;
  /** The index that would survive a crash of the machine: the log may be truncated up to here. */
  readonly flushedIndex: LogIndex;

  /**
   * Makes revisions below `revision` unreadable at once and scrubs them in the background; resolves when scrubbed.
   * @throws RevisionError (synchronously): at or below the compacted one, or in the future.
   */
  compact(revision: number): Promise<void>;
  /** etcd's HashKV. 0 = the current revision. @throws RevisionError */
  hashKv(revision: number, reader?: HashReader): Promise<KeyspaceHash>;

  size(): StoreSize;
  /** Called after each write transaction that changed something. Returns a function that removes the listener. */
  onWrite(listener: WriteListener): () => void;
  /** A view as of the call, while writes continue. Close it: an open view keeps the backend from reusing space. */
  view(): Promise<ReadSnapshot>;
  /** A consistent copy of everything (metadata and indexes included) as of the call, while writes continue. */
  exportSnapshot(): AsyncIterable<Uint8Array>;
  /**
   * Replaces everything; a crash in between leaves the old or the new content. No write may happen meanwhile.
   * `onReplaced` runs in the turn in which the store has the new content, before any other reader: derived data is
   * replaced there, so that it never disagrees with the store.
   */
  importSnapshot(chunks: AsyncIterable<Uint8Array>, onReplaced?: () => void): Promise<void>;
  /** Resolves when everything written so far is flushed. */
  flush(): Promise<void>;
  close(): Promise<void>;
};
