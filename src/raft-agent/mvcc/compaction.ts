/**
 * Background compaction: the index is walked slot by slot in short slices, and the backend deletes exactly the
 * revisions that the index drops, so nothing scans the disk. The scheduled revision is written before, the finished
 * one after; a restart in between finds them different and walks again.
 */
import type { Backend } from "./backend/backend.ts";
import { type IndexedChange, pruneIndexPages } from "./index/index-pages.ts";
import {
  finishedCompaction,
  type IndexedStore,
  metaBucket,
  readCompaction,
  scheduledCompaction,
} from "./index/open-index.ts";
import { encodeRevisionKey } from "./revision.ts";
import type { StoreObserver } from "./store.ts";

/**
 * Of the changes up to a compaction only each key's newest can be left. Finding it takes a walk along the key's later
 * changes, which is done once per key.
 */
function survivesIn({ index }: IndexedStore, revision: number): (change: IndexedChange) => boolean {
  const newest = new Map<number, number>();
  return ({ key, main, sub }) => {
    const slot = index.find(key);
    if (slot < 0) return false;
    let record = newest.get(slot);
    if (record === undefined) {
      record = index.versions.at(index.head(slot), revision);
      newest.set(slot, record);
    }
    return record !== 0 && index.versions.main(record) === main && index.versions.sub(record) === sub;
  };
}

/** Work between two turns of the event loop, about a millisecond: slots visited, revisions dropped. */
const slotsPerSlice = 2000;
const dropsPerSlice = 100;
/**
 * Revisions dropped before the backend must have committed them. Deletions that accumulate during a slow commit would
 * make the next one a long turn of the event loop, and delay writes that wait for theirs.
 */
const dropsPerCommit = 2000;

export class Compactor {
  readonly #backend: Backend;
  readonly #yieldTurn: () => Promise<void>;
  readonly #observer: StoreObserver;
  #running: Promise<void> = Promise.resolve();
  #stopping = false;

  constructor(backend: Backend, yieldTurn: () => Promise<void>, observer: StoreObserver = {}) {
    this.#observer = observer;
    this.#backend = backend;
    this.#yieldTurn = yieldTurn;
  }

  /** Takes effect for readers at once; resolves when scrubbed. */
  compact(state: IndexedStore, revision: number): Promise<void> {
    state.compactedRevision = revision;
    this.#backend.metadata.put(metaBucket, scheduledCompaction, encodeRevisionKey(revision, 0));
    return this.#schedule(state, revision);
  }

  /** Resumes a compaction that a restart (or an imported snapshot) found unfinished. */
  resume(state: IndexedStore): void {
    this.#stopping = false;
    const scheduled = readCompaction(this.#backend, scheduledCompaction);
    if (scheduled === undefined || scheduled === readCompaction(this.#backend, finishedCompaction)) return;
    void this.#schedule(state, scheduled);
  }

  /** Stops at the next slice and waits for it. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  #schedule(state: IndexedStore, revision: number): Promise<void> {
    this.#running = this.#running.then(() => this.#scrub(state, revision));
    return this.#running;
  }

  /** False when the backend has failed: it has reported that to the member, and a restart will resume here. */
  #commits(): Promise<boolean> {
    return this.#backend.commit().then(
      () => true,
      () => false,
    );
  }

  async #scrub(state: IndexedStore, revision: number): Promise<void> {
    const { index } = state;
    const startMs = performance.now();
    let sliceStartMs = startMs;
    let dropped = 0;
    let removed = 0;
    let committed = 0;
    for (let slot = 0, looked = 0; slot < index.slotLimit; slot++, looked++) {
      if (looked >= slotsPerSlice || dropped >= dropsPerSlice) {
        this.#observer.compactionSlice?.(performance.now() - sliceStartMs);
        removed += dropped;
        looked = 0;
        dropped = 0;
        if (removed - committed >= dropsPerCommit) {
          if (!(await this.#commits())) return;
          committed = removed;
        }
        await this.#yieldTurn();
        sliceStartMs = performance.now();
      }
      if (this.#stopping) return;
      if (index.head(slot) === 0) continue;
      index.compactSlot(slot, revision, (main, sub, tombstone) => {
        dropped++;
        this.#backend.delete(main, sub, tombstone);
      });
    }
    this.#observer.compactionSlice?.(performance.now() - sliceStartMs);
    this.#backend.metadata.put(metaBucket, finishedCompaction, encodeRevisionKey(revision, 0));
    const { indexPages } = this.#backend;
    if (indexPages !== undefined && !this.#stopping) {
      await pruneIndexPages(indexPages, revision, survivesIn(state, revision), this.#yieldTurn);
    }
    // Their pages are free, and counted as free, once the drops are committed.
    if (!(await this.#commits())) return;
    this.#observer.compacted?.(performance.now() - startMs, removed + dropped);
  }
}
