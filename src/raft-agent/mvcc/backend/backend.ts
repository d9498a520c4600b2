/**
 * Where values live: an ordered map from revision to key-value bytes, and a few small metadata buckets. The store
 * writes as it applies; the backend gathers and commits many changes in one transaction, because durability is the
 * raft log's business. Reads see everything written, committed or not.
 */
import type { LogIndex, Term } from "../../raft/entry.ts";

export type StoreSize = {
  readonly totalBytes: number;
  /** Without pages that are free for reuse. */
  readonly inUseBytes: number;
};

/** etcd's bucket names where etcd has one; others may be added by who needs them. */
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
  /** Becomes part of the same transaction as the changes written before in this turn. The bytes belong to the backend. */
  put(lastMain: number, page: Uint8Array): void;
  delete(lastMain: number): void;
  /** Those of the last commit, ascending from `fromMain`, until `visit` returns false, which is then the result. */
  read(fromMain: number, visit: (lastMain: number, page: Uint8Array) => boolean): boolean;
};

export type Backend = {
  readonly metadata: Metadata;
  /** Absent where opening need not be quick. */
  readonly indexPages?: IndexPages;
  /** `value` is copied. Revisions come in ascending order. */
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
  /** Commits what is pending and resolves when it is flushed to stable storage. */
  commit(): Promise<void>;

  size(): StoreSize;
  /** A view of everything written so far that later writes do not change. */
  snapshot(): Promise<ReadSnapshot>;
  /**
   * Replaces all content by what `fill` writes into the empty backend it is given, atomically. `onReplaced` runs in the turn
   * in which reads find the new content, before any of them.
   */
  replace(fill: (empty: BackendFiller) => Promise<void>, onReplaced?: () => void): Promise<void>;
  close(): Promise<void>;
};

/** The write half that `replace` hands out. */
export type BackendFiller = {
  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void;
  putMetadata(bucket: Bucket, key: string, value: Uint8Array): void;
  setConsistentIndex(index: LogIndex, term: Term): void;
  /** Await now and then: lets a large fill be written out instead of gathered in memory. */
  drain(): Promise<void>;
};
