/**
 * The store: the key index in memory, values in a backend. Follows etcd's server/storage/mvcc; `store.ts` specifies
 * what is read when, and which revision a transaction sees.
 */
import { assert } from "../../base/assert.ts";
import type { EncodedKeyValue } from "../api/key-value.ts";
import type { LogIndex, Term } from "../raft/entry.ts";
import type { Backend, Metadata, ReadSnapshot, StoreSize } from "./backend/backend.ts";
import { Compactor } from "./compaction.ts";
import { IndexBuilder, type IndexedStore, openIndex } from "./index/open-index.ts";
import { hashKeyspace } from "./keyspace-hash.ts";
import { openRange, rangeAt } from "./range-query.ts";
import {
  type HashReader,
  type KeyDescription,
  type KeyspaceHash,
  type RangeCursor,
  type RangeQuery,
  type RangeResult,
  type ReadBudget,
  RevisionError,
  type Store,
  type StoreCounts,
  type StoreEvent,
  type StoreObserver,
  type WriteListener,
  type WriteTransaction,
} from "./store.ts";
import { toStoreEvent } from "./store-event.ts";
import { exportStore, importStore } from "./store-export.ts";
import { StoreWriter } from "./store-writer.ts";

export type MvccStoreOptions = {
  readonly backend: Backend;
  /** Yields to the event loop between slices of long work; `setImmediate` by default. */
  readonly yieldTurn?: () => Promise<void>;
  readonly observer?: StoreObserver;
};

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Opens the store over the content of the backend; rebuilds the index and resumes an interrupted compaction. */
export async function openStore(options: MvccStoreOptions): Promise<Store> {
  const yieldTurn = options.yieldTurn ?? nextTurn;
  return new MvccStore(options, yieldTurn, await openIndex(options.backend, yieldTurn));
}

/** All keys, in etcd's notation. */
const firstKey = Uint8Array.of(0);
const openEnd = Uint8Array.of(0);

class MvccStore implements Store {
  readonly metadata: Metadata;
  readonly counts: StoreCounts = { ranges: 0, puts: 0, putBytes: 0, deletes: 0, txns: 0 };
  #state: IndexedStore;
  readonly #backend: Backend;
  readonly #yieldTurn: () => Promise<void>;
  readonly #observer: StoreObserver;
  readonly #listeners = new Set<WriteListener>();
  readonly #compactor: Compactor;
  #writer: StoreWriter;
  #writing = false;

  constructor({ backend, observer }: MvccStoreOptions, yieldTurn: () => Promise<void>, state: IndexedStore) {
    this.#observer = observer ?? {};
    this.#backend = backend;
    this.metadata = backend.metadata;
    this.#yieldTurn = yieldTurn;
    this.#state = state;
    this.#writer = new StoreWriter(state, backend, this.#listeners, this.counts);
    this.#compactor = new Compactor(backend, yieldTurn, this.#observer);
    this.#compactor.resume(state);
  }

  get revision(): number {
    return this.#state.revision;
  }

  get compactedRevision(): number {
    return this.#state.compactedRevision;
  }

  get keyCount(): number {
    return this.#state.index.countLive(firstKey, openEnd, this.#state.revision);
  }

  range(query: RangeQuery, budget?: ReadBudget): RangeResult {
    this.counts.ranges++;
    return rangeAt(this.#state, this.#backend, query, { current: this.#state.revision, budget });
  }

  openRange(query: RangeQuery): RangeCursor {
    this.counts.ranges++;
    return openRange(() => this.#state, this.#backend, query);
  }

  get(key: Uint8Array): EncodedKeyValue | undefined {
    return this.getAt(key, this.#state.revision);
  }

  getAt(key: Uint8Array, revision: number): EncodedKeyValue | undefined {
    if (revision < this.#state.compactedRevision) return undefined;
    const { index } = this.#state;
    const slot = index.find(key);
    const record = slot < 0 ? 0 : index.liveAt(slot, revision);
    if (record === 0) return undefined;
    return this.#backend.get(index.versions.main(record), index.versions.sub(record));
  }

  describe(key: Uint8Array): KeyDescription | undefined {
    this.counts.ranges++;
    return this.#state.describe(key);
  }

  revisionError(revision: number): "compacted" | "future" | null {
    return this.#state.revisionError(revision, this.#state.revision);
  }

  beginWrite(): WriteTransaction {
    assert(!this.#writing, "only one write transaction at a time");
    this.#writing = true;
    return this.#writer.begin(() => {
      this.#writing = false;
    });
  }

  keysOfLease(lease: bigint): Uint8Array[] {
    return this.#state.leases.keysOf(lease);
  }

  history(from: number, to: number, visit: (event: StoreEvent) => boolean): void {
    this.#backend.scan(from, 0, (main, _sub, tombstone, value) =>
      main > to ? false : visit(toStoreEvent(main, tombstone, value)),
    );
  }

  get consistentIndex(): LogIndex {
    return this.#backend.consistentIndex;
  }

  get consistentTerm(): Term {
    return this.#backend.consistentTerm;
  }

  setConsistentIndex(index: LogIndex, term: Term): void {
    this.#backend.setConsistentIndex(index, term);
  }

  get flushedIndex(): LogIndex {
    return this.#backend.flushedIndex;
  }

  compact(revision: number): Promise<void> {
    if (revision <= this.#state.compactedRevision) throw new RevisionError("compacted", this.#state.compactedRevision);
    if (revision > this.#state.revision) throw new RevisionError("future", this.#state.compactedRevision);
    return this.#compactor.compact(this.#state, revision);
  }

  async hashKv(revision: number, reader: HashReader = "clients"): Promise<KeyspaceHash> {
    const startMs = performance.now();
    for (;;) {
      const state = this.#state;
      try {
        const hash = await hashKeyspace(state, this.#backend, { revision, reader }, this.#yieldTurn);
        this.#observer.hashed?.(performance.now() - startMs);
        // Replaced meanwhile: the hash may mix the index of one content with the values of the other.
        if (state === this.#state) return hash;
      } catch (error) {
        if (state === this.#state) throw error;
      }
    }
  }

  size(): StoreSize {
    return this.#backend.size();
  }

  onWrite(listener: WriteListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  async view(): Promise<ReadSnapshot> {
    const startMs = performance.now();
    const snapshot = await this.#backend.snapshot();
    return {
      ...snapshot,
      close: () => {
        snapshot.close();
        this.#observer.exported?.(performance.now() - startMs);
      },
    };
  }

  exportSnapshot(): AsyncIterable<Uint8Array> {
    return this.#timed(exportStore(this.#backend, this.#yieldTurn));
  }

  async *#timed(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const startMs = performance.now();
    try {
      yield* chunks;
    } finally {
      this.#observer.exported?.(performance.now() - startMs);
    }
  }

  async importSnapshot(chunks: AsyncIterable<Uint8Array>, onReplaced: () => void = () => {}): Promise<void> {
    assert(!this.#writing, "no write transaction is open while a snapshot is installed");
    await this.#compactor.stop();
    const builder = new IndexBuilder();
    await importStore(this.#backend, chunks, {
      onRevision: (main, sub, tombstone, value) => builder.add(main, sub, tombstone, value),
      onReplaced: () => {
        this.#state = builder.finish(this.#backend);
        this.#writer = new StoreWriter(this.#state, this.#backend, this.#listeners, this.counts);
        this.#compactor.resume(this.#state);
        onReplaced();
      },
    });
  }

  flush(): Promise<void> {
    return this.#backend.commit();
  }

  async close(): Promise<void> {
    await this.#compactor.stop();
    await this.#backend.close();
  }
}
