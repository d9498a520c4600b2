/**
 * The backend on disk. Values lie in one LMDB tree in revision order, metadata before them in the same tree. Writes are
 * gathered and committed in one transaction per interval (or sooner when many); the consistent index is part of each,
 * so that what a restart finds is always the state after some log entry. Reads look through what is not committed yet.
 *
 * LMDB's own sync is kept on: without it a power cut could tear the tree. It runs beside serving (overlapping sync), and
 * `flushedIndex` moves only once it is done.
 */
import { renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { syncFolder } from "../../base/durable-file.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { LogIndex, Term } from "../raft/entry.ts";
import type { Backend, BackendFiller, IndexPages, Metadata, ReadSnapshot, RevisionVisitor } from "./backend.ts";
import { ByteSlab } from "./byte-slab.ts";
import { PendingWrites } from "./pending-writes.ts";
import { isTombstone, mainOf, readBigEndian, subOf, writeBigEndian, writeRevisionKey } from "./revision.ts";
import type { StoreSize } from "./store.ts";

export type LmdbBackendOptions = {
  /** An existing folder; the database is `store.mdb` in it. */
  readonly folder: string;
  /** The longest a write waits for its commit. */
  readonly commitIntervalMs?: number;
  /** So many gathered operations, or bytes, are committed at once. */
  readonly commitOperationsMax?: number;
  readonly commitBytesMax?: number;
  /** Address space to reserve; the file grows as needed. */
  readonly mapBytes?: number;
  /** A commit failed: the backend accepts nothing more and the member must stop. */
  readonly onFailure?: (error: HaplanError) => void;
  /** A commit is on disk; how long writing and flushing it took. */
  readonly onCommit?: (durationMs: number) => void;
};

type Tree = RootDatabase<Buffer, Uint8Array>;

const metadataPrefix = 1;
const revisionPrefix = 2;
const indexPagePrefix = 3;
/** Revisions lie before this key. */
const revisionsEnd = Uint8Array.of(indexPagePrefix);
const indexKey = "meta\0consistent_index";
const termKey = "meta\0term";
const fillBatch = 2000;
const fillBatchBytes = 16 << 20;

/** Opens or creates the database. @throws HaplanError `store/open-failed` */
export function openLmdbBackend(options: LmdbBackendOptions): Backend {
  return new LmdbBackend(options);
}

class LmdbBackend implements Backend {
  private readonly path: string;
  private readonly options: Required<LmdbBackendOptions>;
  private tree: Tree;
  private pending = new PendingWrites();
  /** What the commit in flight is writing. */
  private committing: PendingWrites | null = null;
  private chain: Promise<void> = Promise.resolve();
  /** The flush of the last commit: the next commit may run beside it, the one after that waits. */
  private flushing: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private failure: HaplanError | null = null;
  private closed = false;
  private readonly slab = new ByteSlab();
  private readonly keyBuffer = new Uint8Array(19);
  private index: LogIndex = 0;
  private term: Term = 0;
  private flushed: LogIndex = 0;
  private indexDirty = false;

  constructor(options: LmdbBackendOptions) {
    this.path = join(options.folder, "store.mdb");
    this.options = {
      commitIntervalMs: 100,
      commitOperationsMax: 4000,
      commitBytesMax: 8 << 20,
      mapBytes: 256 * 2 ** 30,
      onFailure: () => undefined,
      onCommit: () => undefined,
      ...options,
    };
    removeDatabase(incomingPath(this.path));
    this.tree = openTree(this.path, this.options.mapBytes);
    this.readIndexes();
  }

  readonly metadata: Metadata = {
    get: (bucket, key) => this.getMetadata(`${bucket}\0${key}`),
    put: (bucket, key, value) => {
      this.pending.setMetadata(`${bucket}\0${key}`, value.slice());
      this.wrote();
    },
    delete: (bucket, key) => {
      this.pending.setMetadata(`${bucket}\0${key}`, null);
      this.wrote();
    },
    entries: (bucket) => this.metadataEntries(bucket),
  };

  readonly indexPages: IndexPages = {
    put: (lastMain, page) => {
      this.pending.setIndexPage(lastMain, page);
      this.wrote();
    },
    delete: (lastMain) => {
      this.pending.setIndexPage(lastMain, null);
      this.wrote();
    },
    read: (fromMain, visit) => readPages(this.tree, fromMain, visit),
  };

  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    this.pending.put(main, sub, tombstone, value);
    this.wrote();
  }

  get(main: number, sub: number): Uint8Array | undefined {
    const recent = this.pending.get(main, sub) ?? this.committing?.get(main, sub);
    if (recent !== undefined) return recent;
    const found = this.tree.getBinaryFast(this.revisionKey(main, sub, false));
    return found === undefined ? undefined : this.slab.copy(found, found.length);
  }

  delete(main: number, sub: number, tombstone: boolean): void {
    if (this.pending.forget(main, sub)) return;
    this.pending.delete(main, sub, tombstone);
    this.wrote();
  }

  scan(main: number, sub: number, visit: RevisionVisitor): void {
    // The commit in flight may be visible in the tree already: its changes are then skipped the second time.
    let lastMain = main;
    let lastSub = sub - 1;
    const once: RevisionVisitor = (oneMain, oneSub, tombstone, value) => {
      if (oneMain < lastMain || (oneMain === lastMain && oneSub <= lastSub)) return true;
      lastMain = oneMain;
      lastSub = oneSub;
      return visit(oneMain, oneSub, tombstone, value);
    };
    if (!scanTree(this.tree, this.revisionKey(main, sub, false).slice(), once)) return;
    if (this.committing !== null && !this.committing.scan(main, sub, once)) return;
    this.pending.scan(main, sub, once);
  }

  get consistentIndex(): LogIndex {
    return this.index;
  }

  get consistentTerm(): Term {
    return this.term;
  }

  setConsistentIndex(index: LogIndex, term: Term): void {
    this.index = index;
    this.term = term;
    this.indexDirty = true;
    this.wrote();
  }

  get flushedIndex(): LogIndex {
    return this.flushed;
  }

  commit(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.chain = this.chain.then(() => this.commitPending());
    return this.chain.then(() => this.flushing);
  }

  size(): StoreSize {
    const stats = this.tree.getStats() as Record<string, number>;
    const pages = stats["treeBranchPageCount"]! + stats["treeLeafPageCount"]! + stats["overflowPages"]! + 2;
    const gathered = this.pending.bytes + (this.committing?.bytes ?? 0);
    return {
      totalBytes: (stats["lastPageNumber"]! + 1) * stats["pageSize"]! + gathered,
      inUseBytes: pages * stats["pageSize"]! + gathered,
    };
  }

  async snapshot(): Promise<ReadSnapshot> {
    let snapshot: ReadSnapshot | undefined;
    // Within the chain: no later commit can slip in between this commit and the opening of the read transaction.
    this.chain = this.chain
      .then(() => this.commitPending())
      .then(() => {
        snapshot = openSnapshot(this.tree);
      });
    await this.chain;
    return snapshot!;
  }

  async replace(fill: (empty: BackendFiller) => Promise<void>): Promise<void> {
    await this.commit();
    // Within the chain, so that no commit meets a closed tree; a failure here leaves the old content in service.
    const done = this.chain.then(() => this.replaceNow(fill));
    this.chain = done.catch(() => undefined);
    await done;
  }

  private async replaceNow(fill: (empty: BackendFiller) => Promise<void>): Promise<void> {
    const incoming = incomingPath(this.path);
    removeDatabase(incoming);
    const fresh = openTree(incoming, this.options.mapBytes);
    try {
      await fillTree(fresh, fill);
      await fresh.close();
    } catch (error) {
      await fresh.close();
      removeDatabase(incoming);
      throw error;
    }
    await this.tree.close();
    renameSync(incoming, this.path);
    rmSync(`${incoming}-lock`, { force: true });
    syncFolder(dirname(this.path));
    this.tree = openTree(this.path, this.options.mapBytes);
    this.pending = new PendingWrites();
    this.readIndexes();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      await this.commit();
    } finally {
      await this.tree.close();
    }
  }

  private readIndexes(): void {
    this.index = readNumber(this.getMetadata(indexKey));
    this.term = readNumber(this.getMetadata(termKey));
    this.flushed = this.index;
    this.indexDirty = false;
  }

  private wrote(): void {
    const { operations, bytes } = this.pending;
    if (operations >= this.options.commitOperationsMax || bytes >= this.options.commitBytesMax) {
      // Not now: the entry that is being applied must be whole in the batch.
      if (this.committing === null) this.schedule(0);
    } else if (this.timer === undefined) this.schedule(this.options.commitIntervalMs);
  }

  private soon = false;

  private schedule(delayMs: number): void {
    if (this.closed || this.soon) return;
    if (delayMs === 0) {
      this.soon = true;
      setImmediate(() => {
        this.soon = false;
        this.commit().catch(() => undefined);
      });
      return;
    }
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.commit().catch(() => undefined);
    }, delayMs);
  }

  private async commitPending(): Promise<void> {
    if (this.failure !== null) throw this.failure;
    const batch = this.pending;
    if (batch.operations === 0 && !this.indexDirty) return;
    const index = this.index;
    if (this.indexDirty) {
      batch.setMetadata(indexKey, bigEndian(index));
      batch.setMetadata(termKey, bigEndian(this.term));
      this.indexDirty = false;
    }
    this.pending = new PendingWrites();
    this.committing = batch;
    try {
      const startMs = performance.now();
      await this.tree.batch(() => this.writeBatch(batch));
      const before = this.flushing;
      this.flushing = this.awaitFlush(index, startMs);
      this.flushing.catch(() => undefined);
      this.tree.resetReadTxn();
      this.committing = null;
      await before;
      if (this.pending.operations > 0) this.wrote();
    } catch (error) {
      throw this.fail(error);
    }
  }

  private async awaitFlush(index: LogIndex, startMs: number): Promise<void> {
    try {
      await this.tree.flushed;
      this.options.onCommit(performance.now() - startMs);
      this.flushed = Math.max(this.flushed, index);
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Remembers the first failure and tells about it once. */
  private fail(error: unknown): HaplanError {
    if (this.failure !== null) return this.failure;
    this.failure = new HaplanError("store/commit-failed", `Cannot write ${this.path}: ${errorText(error)}`, {
      cause: error,
    });
    this.options.onFailure(this.failure);
    return this.failure;
  }

  private writeBatch(batch: PendingWrites): void {
    const { tree } = this;
    batch.scan(0, 0, (main, sub, tombstone, value) => {
      tree.put(this.revisionKey(main, sub, tombstone), value as Buffer);
      return true;
    });
    for (const { main, sub, tombstone } of batch.deletions) tree.remove(this.revisionKey(main, sub, tombstone));
    for (const [key, value] of batch.metadata) {
      if (value === null) tree.remove(metadataKey(key));
      else tree.put(metadataKey(key), value as Buffer);
    }
    for (const [lastMain, page] of batch.indexPages) {
      if (page === null) tree.remove(indexPageKey(lastMain));
      else tree.put(indexPageKey(lastMain), page as Buffer);
    }
  }

  /** The key in a buffer that the next call overwrites: LMDB copies keys as it takes them. */
  private revisionKey(main: number, sub: number, tombstone: boolean): Uint8Array {
    this.keyBuffer[0] = revisionPrefix;
    const length = writeRevisionKey(this.revisionPart, main, sub, tombstone);
    return length === 17 ? this.putKey : this.keyBuffer;
  }

  private readonly revisionPart = this.keyBuffer.subarray(1);
  private readonly putKey = this.keyBuffer.subarray(0, 18);

  private getMetadata(key: string): Uint8Array | undefined {
    for (const writes of [this.pending, this.committing]) {
      const recent = writes?.metadata.get(key);
      if (recent !== undefined) return recent ?? undefined;
    }
    return this.tree.getBinary(metadataKey(key));
  }

  private metadataEntries(bucket: string): [string, Uint8Array][] {
    const prefix = `${bucket}\0`;
    const merged = new Map<string, Uint8Array | null>();
    const start = metadataKey(prefix);
    for (const { key, value } of this.tree.getRange({ start })) {
      const text = metadataText(key);
      if (key[0] !== metadataPrefix || !text.startsWith(prefix)) break;
      merged.set(text, value);
    }
    for (const writes of [this.committing, this.pending]) {
      for (const [key, value] of writes?.metadata ?? []) if (key.startsWith(prefix)) merged.set(key, value);
    }
    const present = [...merged].flatMap(([key, value]): [string, Uint8Array][] =>
      value === null ? [] : [[key.slice(prefix.length), value]],
    );
    return present.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }
}

function openTree(path: string, mapSize: number): Tree {
  try {
    return open<Buffer, Uint8Array>({
      path,
      noSubdir: true,
      keyEncoding: "binary",
      encoding: "binary",
      mapSize,
      noMemInit: true,
      maxDbs: 1,
    });
  } catch (error) {
    throw new HaplanError("store/open-failed", `Cannot open the store ${path}: ${errorText(error)}`, { cause: error });
  }
}

function incomingPath(path: string): string {
  return `${path}.incoming`;
}

function removeDatabase(path: string): void {
  rmSync(path, { force: true });
  rmSync(`${path}-lock`, { force: true });
}

/** False when `visit` asked to stop. */
function scanTree(
  tree: Database<Buffer, Uint8Array>,
  start: Uint8Array,
  visit: RevisionVisitor,
  transaction?: ReturnType<Tree["useReadTransaction"]>,
): boolean {
  const range = tree.getRange({ start, end: revisionsEnd, ...(transaction === undefined ? {} : { transaction }) });
  for (const { key, value } of range) {
    const revision = key.subarray(1);
    if (!visit(mainOf(revision), subOf(revision), isTombstone(revision), value)) return false;
  }
  return true;
}

/** False when `visit` asked to stop. */
function readPages(tree: Tree, fromMain: number, visit: (lastMain: number, page: Uint8Array) => boolean): boolean {
  for (const { key, value } of tree.getRange({ start: indexPageKey(fromMain) })) {
    if (!visit(readBigEndian(key, 1), value)) return false;
  }
  return true;
}

function openSnapshot(tree: Tree): ReadSnapshot {
  tree.resetReadTxn();
  const transaction = tree.useReadTransaction();
  const number = (key: string): number => readNumber(tree.get(metadataKey(key), { transaction }));
  return {
    consistentIndex: number(indexKey),
    consistentTerm: number(termKey),
    scan: (main, sub, visit) => {
      const start = new Uint8Array(18);
      start[0] = revisionPrefix;
      writeRevisionKey(start.subarray(1), main, sub, false);
      scanTree(tree, start, visit, transaction);
    },
    metadata: () => {
      const entries: [string, string, Uint8Array][] = [];
      const end = Uint8Array.of(revisionPrefix);
      for (const { key, value } of tree.getRange({ start: Uint8Array.of(metadataPrefix), end, transaction })) {
        const text = metadataText(key);
        if (text === indexKey || text === termKey) continue;
        const split = text.indexOf("\0");
        entries.push([text.slice(0, split), text.slice(split + 1), value]);
      }
      return entries;
    },
    close: () => transaction.done(),
  };
}

async function fillTree(tree: Tree, fill: (empty: BackendFiller) => Promise<void>): Promise<void> {
  const key = new Uint8Array(19);
  key[0] = revisionPrefix;
  const revisionPart = key.subarray(1);
  let gathered: (() => void)[] = [];
  let gatheredBytes = 0;
  const write = async (): Promise<void> => {
    const batch = gathered;
    gathered = [];
    gatheredBytes = 0;
    if (batch.length > 0) await tree.batch(() => batch.forEach((put) => void put()));
  };
  await fill({
    put: (main, sub, tombstone, value) => {
      const copy = value.slice() as Buffer;
      gatheredBytes += copy.length;
      gathered.push(() => {
        const length = writeRevisionKey(revisionPart, main, sub, tombstone);
        tree.put(key.subarray(0, length + 1), copy);
      });
    },
    putMetadata: (bucket, name, value) => {
      const copy = value.slice() as Buffer;
      gathered.push(() => tree.put(metadataKey(`${bucket}\0${name}`), copy));
    },
    setConsistentIndex: (index, term) => {
      gathered.push(() => tree.put(metadataKey(indexKey), bigEndian(index) as Buffer));
      gathered.push(() => tree.put(metadataKey(termKey), bigEndian(term) as Buffer));
    },
    drain: () => (gathered.length < fillBatch && gatheredBytes < fillBatchBytes ? Promise.resolve() : write()),
  });
  await write();
  await tree.flushed;
}

function indexPageKey(lastMain: number): Uint8Array {
  const key = Buffer.alloc(9, indexPagePrefix);
  writeBigEndian(key, 1, lastMain);
  return key;
}

function metadataKey(text: string): Uint8Array {
  return Buffer.from(`${String.fromCharCode(metadataPrefix)}${text}`);
}

function metadataText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + 1, key.length - 1).toString();
}

function bigEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  writeBigEndian(bytes, 0, value);
  return bytes;
}

function readNumber(bytes: Uint8Array | undefined): number {
  return bytes === undefined ? 0 : readBigEndian(bytes, 0);
}
