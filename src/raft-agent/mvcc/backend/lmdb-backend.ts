/**
 * The backend on disk. Values are stored in one LMDB tree in revision order, metadata before them in the same tree.
 * Writes are collected and committed in one transaction per interval (or sooner when there are many); the consistent
 * index is part of each, so that a restart always finds the state after some log entry. Reads also see uncommitted
 * changes.
 *
 * LMDB's own sync stays enabled: without it a power loss could tear the tree. It runs concurrently with serving
 * (overlapping sync), and `flushedIndex` advances only once it is done.
 */
import { statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import type { LogIndex, Term } from "../../raft/entry.ts";
import { ByteSlab } from "../index/byte-slab.ts";
import type {
  Backend,
  BackendFiller,
  IndexPages,
  Metadata,
  ReadSnapshot,
  RevisionVisitor,
  StoreSize,
} from "./backend.ts";
import { CommitTimer } from "./commit-timer.ts";
import {
  bigEndian,
  type EndableSnapshot,
  indexKey,
  metadataKey,
  openSnapshot,
  openTree,
  RevisionKeys,
  readBucket,
  readNumber,
  readPages,
  scanTree,
  type Tree,
  termKey,
  treeBytes,
  writePending,
} from "./lmdb-tree.ts";
import { PendingWrites } from "./pending-writes.ts";
import { buildReplacement, removeReplacement, swapInReplacement } from "./replacement-tree.ts";

export type LmdbBackendOptions = {
  /** An existing directory; the database is `store.mdb` in it. */
  readonly directory: string;
  /** The maximum time that a write waits for its commit. */
  readonly commitIntervalMs?: number;
  /** This many collected operations, or bytes, are committed at once. */
  readonly commitOperationsMax?: number;
  readonly commitBytesMax?: number;
  /** Address space to reserve; the file grows as needed. */
  readonly mapBytes?: number;
  /** A commit failed: the backend accepts no more writes and the member must stop. */
  readonly onFailure?: (error: HaplanError) => void;
  /** A commit is on disk; how long writing and flushing took. */
  readonly onCommit?: (durationMs: number) => void;
};

/** Opens or creates the database. @throws HaplanError `store/open-failed` */
export function openLmdbBackend(options: LmdbBackendOptions): Backend {
  return new LmdbBackend(options);
}

class LmdbBackend implements Backend {
  readonly #path: string;
  readonly #options: Required<LmdbBackendOptions>;
  #tree: Tree;
  #pending = new PendingWrites();
  /** The changes that the commit in flight is writing. */
  #committing: PendingWrites | null = null;
  #chain: Promise<void> = Promise.resolve();
  /** The flush of the last commit: the next commit may run concurrently, the one after that waits. */
  #flushing: Promise<void> = Promise.resolve();
  /** The size of the tree until the next commit: read many times per second, even on an idle member. */
  #committedBytes: ReturnType<typeof treeBytes> | null = null;
  readonly #timer: CommitTimer;
  /** Open views: none of them outlives the database under it. */
  readonly #snapshots = new Set<EndableSnapshot>();
  #failure: HaplanError | null = null;
  #closed = false;
  readonly #slab = new ByteSlab();
  readonly #keys = new RevisionKeys();
  #index: LogIndex = 0;
  #term: Term = 0;
  #flushed: LogIndex = 0;
  #indexDirty = false;

  constructor(options: LmdbBackendOptions) {
    this.#path = join(options.directory, "store.mdb");
    this.#options = {
      commitIntervalMs: 100,
      commitOperationsMax: 4000,
      commitBytesMax: 8 << 20,
      mapBytes: 256 * 2 ** 30,
      onFailure: () => undefined,
      onCommit: () => undefined,
      ...options,
    };
    this.#timer = new CommitTimer(this.#options.commitIntervalMs, () => void this.commit().catch(() => undefined));
    removeReplacement(this.#path);
    this.#tree = openTree(this.#path, this.#options.mapBytes);
    this.#readIndexes();
  }

  readonly metadata: Metadata = {
    get: (bucket, key) => this.#getMetadata(`${bucket}\0${key}`),
    put: (bucket, key, value) => {
      this.#pending.setMetadata(`${bucket}\0${key}`, value.slice());
      this.#wrote();
    },
    delete: (bucket, key) => {
      this.#pending.setMetadata(`${bucket}\0${key}`, null);
      this.#wrote();
    },
    entries: (bucket) => this.#metadataEntries(bucket),
  };

  readonly indexPages: IndexPages = {
    put: (lastMain, page) => {
      this.#pending.setIndexPage(lastMain, page);
      this.#wrote();
    },
    delete: (lastMain) => {
      this.#pending.setIndexPage(lastMain, null);
      this.#wrote();
    },
    read: (fromMain, visit) => readPages(this.#tree, fromMain, visit),
  };

  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    this.#pending.put(main, sub, tombstone, value);
    this.#wrote();
  }

  get(main: number, sub: number): Uint8Array | undefined {
    const recent = this.#pending.get(main, sub) ?? this.#committing?.get(main, sub);
    if (recent !== undefined) return recent;
    const found = this.#tree.getBinaryFast(this.#keys.key(main, sub, false));
    return found === undefined ? undefined : this.#slab.copy(found, found.length);
  }

  delete(main: number, sub: number, tombstone: boolean): void {
    if (this.#pending.forget(main, sub)) return;
    this.#pending.delete(main, sub, tombstone);
    this.#wrote();
  }

  scan(main: number, sub: number, visit: RevisionVisitor): void {
    // The commit in flight may already be visible in the tree: its changes are then skipped the second time.
    let lastMain = main;
    let lastSub = sub - 1;
    const once: RevisionVisitor = (oneMain, oneSub, tombstone, value) => {
      if (oneMain < lastMain || (oneMain === lastMain && oneSub <= lastSub)) return true;
      lastMain = oneMain;
      lastSub = oneSub;
      return visit(oneMain, oneSub, tombstone, value);
    };
    if (!scanTree(this.#tree, this.#keys.key(main, sub, false).slice(), once)) return;
    if (this.#committing !== null && !this.#committing.scan(main, sub, once)) return;
    this.#pending.scan(main, sub, once);
  }

  get consistentIndex(): LogIndex {
    return this.#index;
  }

  get consistentTerm(): Term {
    return this.#term;
  }

  setConsistentIndex(index: LogIndex, term: Term): void {
    this.#index = index;
    this.#term = term;
    this.#indexDirty = true;
    this.#wrote();
  }

  get flushedIndex(): LogIndex {
    return this.#flushed;
  }

  commit(): Promise<void> {
    this.#timer.clear();
    this.#chain = this.#chain.then(() => this.#commitPending());
    return this.#chain.then(() => this.#flushing);
  }

  size(): StoreSize {
    this.#committedBytes ??= treeBytes(this.#tree);
    const collected = this.#pending.bytes + (this.#committing?.bytes ?? 0);
    return { totalBytes: this.#committedBytes.total + collected, inUseBytes: this.#committedBytes.inUse + collected };
  }

  async snapshot(): Promise<ReadSnapshot> {
    let snapshot: ReadSnapshot | undefined;
    // Inside the chain: no later commit can run between this commit and the opening of the read transaction.
    this.#chain = this.#chain
      .then(() => this.#commitPending())
      .then(() => {
        const opened = openSnapshot(this.#tree, (closed) => this.#snapshots.delete(closed));
        this.#snapshots.add(opened);
        snapshot = opened;
      });
    await this.#chain;
    return snapshot!;
  }

  async replace(fill: (empty: BackendFiller) => Promise<void>, onReplaced: () => void = () => {}): Promise<void> {
    await this.commit();
    // Inside the chain, so that no commit sees a closed tree; a failure here keeps the old content in service.
    const done = this.#chain.then(() => this.#replaceNow(fill, onReplaced));
    this.#chain = done.catch(() => undefined);
    await done;
  }

  async #replaceNow(fill: (empty: BackendFiller) => Promise<void>, onReplaced: () => void): Promise<void> {
    await buildReplacement(this.#path, this.#options.mapBytes, fill);
    for (const snapshot of this.#snapshots) snapshot.end();
    await this.#tree.close();
    swapInReplacement(this.#path);
    this.#tree = openTree(this.#path, this.#options.mapBytes);
    this.#committedBytes = null;
    this.#pending = new PendingWrites();
    this.#readIndexes();
    onReplaced();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      await this.commit();
    } finally {
      await this.#tree.close();
    }
  }

  #readIndexes(): void {
    this.#index = readNumber(this.#getMetadata(indexKey));
    this.#term = readNumber(this.#getMetadata(termKey));
    this.#flushed = this.#index;
    this.#indexDirty = false;
  }

  #wrote(): void {
    if (this.#closed) return;
    const { operations, bytes } = this.#pending;
    const isMuch = operations >= this.#options.commitOperationsMax || bytes >= this.#options.commitBytesMax;
    if (!isMuch) this.#timer.atInterval();
    // Not now: the entry that is being applied must be complete in the batch.
    else if (this.#committing === null) this.#timer.nextTurn();
  }

  async #commitPending(): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    const batch = this.#pending;
    if (batch.operations === 0 && !this.#indexDirty) return;
    const index = this.#index;
    if (this.#indexDirty) {
      batch.setMetadata(indexKey, bigEndian(index));
      batch.setMetadata(termKey, bigEndian(this.#term));
      this.#indexDirty = false;
    }
    this.#pending = new PendingWrites();
    this.#committing = batch;
    try {
      const startMs = performance.now();
      await this.#tree.batch(() => writePending(this.#tree, this.#keys, batch));
      const before = this.#flushing;
      this.#flushing = this.#awaitFlush(index, startMs);
      this.#flushing.catch(() => undefined);
      this.#tree.resetReadTxn();
      this.#committing = null;
      this.#committedBytes = null;
      await before;
      if (this.#pending.operations > 0) this.#wrote();
    } catch (error) {
      throw this.#fail(await reasonOf(error));
    }
  }

  async #awaitFlush(index: LogIndex, startMs: number): Promise<void> {
    try {
      await this.#tree.flushed;
      this.#options.onCommit(performance.now() - startMs);
      this.#flushed = Math.max(this.#flushed, index);
    } catch (error) {
      throw this.#fail(await reasonOf(error));
    }
  }

  /** Records the first failure and reports it once. */
  #fail(error: unknown): HaplanError {
    if (this.#failure !== null) return this.#failure;
    // LMDB reports a full disk as an input/output error when part of a write still fits.
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    const text = `Cannot write ${this.#path}: ${errorText(error)} (${bavail * bsize} bytes are free there)`;
    this.#failure = new HaplanError("store/commit-failed", text, { cause: error });
    this.#options.onFailure(this.#failure);
    return this.#failure;
  }

  #getMetadata(key: string): Uint8Array | undefined {
    for (const writes of [this.#pending, this.#committing]) {
      const recent = writes?.metadata.get(key);
      if (recent !== undefined) return recent ?? undefined;
    }
    return this.#tree.getBinary(metadataKey(key));
  }

  #metadataEntries(bucket: string): [string, Uint8Array][] {
    const prefix = `${bucket}\0`;
    const merged: Map<string, Uint8Array | null> = readBucket(this.#tree, bucket);
    for (const writes of [this.#committing, this.#pending]) {
      for (const [key, value] of writes?.metadata ?? []) {
        if (key.startsWith(prefix)) merged.set(key.slice(prefix.length), value);
      }
    }
    const present = [...merged].filter((entry): entry is [string, Uint8Array] => entry[1] !== null);
    return present.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
}

/** LMDB's error for a commit only refers to the reason: a promise that is rejected with it, in the same turn. */
async function reasonOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  return await Promise.resolve(error.commitError).then(
    () => error,
    (reason: unknown) => reason,
  );
}
