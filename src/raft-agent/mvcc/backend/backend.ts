/**
 * The storage of values: an ordered map from revision to key-value bytes, and a few small metadata buckets. The store
 * writes as it applies; the backend collects and commits many changes in one transaction, because durability is up to
 * the raft log. Reads see everything written, committed or not.
 */
import type { LogIndex, Term } from "../../raft/entry.ts";

export type StoreSize = {
  readonly totalBytes: number;
  /** Without pages that are free for reuse. */
  readonly inUseBytes: number;
};

/** etcd's bucket names where etcd has one; other modules may add their own. */
export type Bucket = string;

export type Metadata = {
  get(bucket: Bucket, key: string): Uint8Array | undefined;
  put(bucket: Bucket, key: string, value: Uint8Array): void;
  delete(bucket: Bucket, key: string): void;
  /** In key order. */
  entries(bucket: Bucket): [key: string, value: Uint8Array][];
};

/** Called with each stored change, put or tombstone; `value` is canonical KeyValue bytes, valid until it returns. */
export type RevisionVisitor = (main: number, sub: number, tombstone: boolean, value: Uint8Array) => boolean;

export type ReadSnapshot = {
  readonly consistentIndex: LogIndex;
  readonly consistentTerm: Term;
  /** Ascending from (`main`, `sub`) until `visit` returns false. */
  scan(main: number, sub: number, visit: RevisionVisitor): void;
  /** Every metadata entry: bucket, key, value. */
  metadata(): [Bucket, string, Uint8Array][];
  close(): void;
};

/** Pages of the key index (see index-pages.ts), by the last revision that each covers. */
export type IndexPages = {
  /** Becomes part of the same transaction as the preceding changes of this turn. The backend owns the bytes. */
  put(lastMain: number, page: Uint8Array): void;
  delete(lastMain: number): void;
  /** The pages of the last commit, ascending from `fromMain`, until `visit` returns false, which is then the result. */
  read(fromMain: number, visit: (lastMain: number, page: Uint8Array) => boolean): boolean;
};

export type Backend = {
  readonly metadata: Metadata;
  /** Absent where opening need not be fast. */
  readonly indexPages?: IndexPages;
  /** `value` is copied. Revisions are ascending. */
  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void;
  /** The value of a put, or undefined. The bytes stay valid. */
  get(main: number, sub: number): Uint8Array | undefined;
  delete(main: number, sub: number, tombstone: boolean): void;
  /** Ascending from (`main`, `sub`) until `visit` returns false. */
  scan(main: number, sub: number, visit: RevisionVisitor): void;

  readonly consistentIndex: LogIndex;
  readonly consistentTerm: Term;
  setConsistentIndex(index: LogIndex, term: Term): void;
  /** The consistent index of the last commit that is on stable storage. */
  readonly flushedIndex: LogIndex;
  /** Commits pending changes and resolves when they are flushed to stable storage. */
  commit(): Promise<void>;

  size(): StoreSize;
  /** A view of everything written so far, unaffected by later writes. */
  snapshot(): Promise<ReadSnapshot>;
  /**
   * Atomically replaces all content with what `fill` writes into the empty backend it is given. `onReplaced` runs in
   * the turn in which reads see the new content, before any of them.
   */
  replace(fill: (empty: BackendFiller) => Promise<void>, onReplaced?: () => void): Promise<void>;
  close(): Promise<void>;
};

/** The write half that `replace` passes to `fill`. */
export type BackendFiller = {
  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void;
  putMetadata(bucket: Bucket, key: string, value: Uint8Array): void;
  setConsistentIndex(index: LogIndex, term: Term): void;
  /** Await regularly: lets a large fill be written out instead of collected in memory. */
  drain(): Promise<void>;
};
