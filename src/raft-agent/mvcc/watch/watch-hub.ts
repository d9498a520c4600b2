/**
 * Notifies watchers of changes to their keys: every event once, in order, whole revisions at a time.
 *
 * A synced watcher is notified as the store changes. One that starts in the past, or whose stream was full, lags: it
 * keeps only the next revision it needs and is served from the store's history, in bounded slices, until it has caught
 * up. So a slow consumer costs a number, delays no other watcher, and is cancelled only when compaction overtakes it.
 */
import type { WatchCreateRequest } from "../../api/watch.ts";
import { WatchFilter } from "../../api/watch.ts";
import type { Store, StoreEvent } from "../store.ts";
import { type EventBatch, encodeBatch } from "./watch-batch.ts";
import { type Interest, InterestIndex } from "./watch-interest.ts";
import {
  HubStream,
  type StreamHub,
  type Watcher,
  type WatchSink,
  type WatchStream,
  watchedKey,
} from "./watch-stream.ts";

export type WatchHubOptions = {
  readonly store: Store;
  /** Runs a task at the end of the turn; `queueMicrotask` by default. */
  readonly afterTurn?: (task: () => void) => void;
  /** Runs a task in a later turn; `setImmediate` by default. */
  readonly nextTurn?: (task: () => void) => void;
  /**
   * How much history is read in one slice; a revision is never split. It is also the cost of a client that does not
   * read.
   */
  readonly sliceEventsMax?: number;
  readonly sliceBytesMax?: number;
  /** The bytes offered to lagging watchers in one turn, in total: others wait for no more than that. */
  readonly turnBytesMax?: number;
};

export type WatchHub = {
  openStream(sink: WatchSink): WatchStream;
  /** Delivers what has been written so far instead of waiting for the end of the turn. */
  flush(): void;
  /** The store was replaced by a snapshot: all watchers continue from history. */
  storeReplaced(): void;
  readonly watcherCount: number;
  /** Lagging watchers (etcd's slow watchers). */
  readonly laggingCount: number;
  close(): void;
};

/** Per interest: how many events of the slice are skipped → the rest, encoded. */
type SharedBatches = Map<Interest<Watcher>, Map<number, EventBatch>>;

export function createWatchHub(options: WatchHubOptions): WatchHub {
  return new Hub(options);
}

class Hub implements WatchHub, StreamHub {
  readonly store: Store;
  readonly #interests = new InterestIndex<Watcher>();
  /** Lagging watchers that can be served, longest waiting first. */
  readonly #queue = new Set<Watcher>();
  /** Watchers whose first revision is in the future. */
  readonly #future = new Set<Watcher>();
  /** The last revision of which synced watchers were (or are about to be) notified. */
  #notifiedRevision: number;
  /** Interests with collected events. */
  #touched: Interest<Watcher>[] = [];
  #flushScheduled = false;
  #catchUpScheduled = false;
  readonly #afterTurn: (task: () => void) => void;
  readonly #nextTurn: (task: () => void) => void;
  readonly #sliceEventsMax: number;
  readonly #sliceBytesMax: number;
  readonly #turnBytesMax: number;
  /** Only while there are watchers: skip building events without any. */
  #stopListening: () => void = () => undefined;
  #closed = false;
  watcherCount = 0;
  laggingCount = 0;

  constructor(options: WatchHubOptions) {
    this.store = options.store;
    this.#afterTurn = options.afterTurn ?? queueMicrotask;
    this.#nextTurn = options.nextTurn ?? ((task) => void setImmediate(task));
    this.#sliceEventsMax = options.sliceEventsMax ?? 1000;
    this.#sliceBytesMax = options.sliceBytesMax ?? 512 << 10;
    this.#turnBytesMax = options.turnBytesMax ?? 4 << 20;
    this.#notifiedRevision = this.store.revision;
  }

  openStream(sink: WatchSink): WatchStream {
    return new HubStream(this, sink);
  }

  close(): void {
    this.#closed = true;
    this.#stopListening();
  }

  flush(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = [];
    const { revision } = this.store;
    for (const interest of touched) {
      const events = interest.collected;
      interest.collected = [];
      // A watcher that was cancelled or fell behind meanwhile is no longer in `synced`.
      if (interest.synced.size === 0) continue;
      const batch = encodeBatch(this.store, events, interest.options.prevKv);
      for (const watcher of interest.synced) {
        if (!watcher.stream.offer({ kind: "events", watchId: watcher.id, revision, batch })) {
          this.#fallBehind(watcher, batch.firstRevision);
        }
      }
    }
    this.scheduleCatchUp();
  }

  storeReplaced(): void {
    for (const interest of this.#interests.all()) {
      const next = interest.collected[0]?.revision ?? this.#notifiedRevision + 1;
      interest.collected = [];
      for (const watcher of interest.synced) this.#fallBehind(watcher, next);
    }
    this.#touched = [];
    this.#notifiedRevision = this.store.revision;
    this.#wakeFuture();
    this.scheduleCatchUp();
  }

  add(stream: HubStream, id: number, request: WatchCreateRequest): Watcher {
    const interest = this.#interests.obtain(watchedKey(request), request.rangeEnd, {
      noPut: request.filters.includes(WatchFilter.noPut),
      noDelete: request.filters.includes(WatchFilter.noDelete),
      prevKv: request.prevKv,
    });
    const watcher: Watcher = { id, stream, interest, next: request.startRevision };
    if (this.watcherCount++ === 0) this.#listen();
    if (request.startRevision === 0 || request.startRevision === this.store.revision + 1) interest.synced.add(watcher);
    else this.#fallBehind(watcher, request.startRevision);
    this.scheduleCatchUp();
    return watcher;
  }

  remove(watcher: Watcher): void {
    if (--this.watcherCount === 0) this.#stopListening();
    this.#queue.delete(watcher);
    this.#future.delete(watcher);
    watcher.stream.parked.delete(watcher);
    watcher.interest.synced.delete(watcher);
    if (watcher.interest.lagging.delete(watcher)) this.laggingCount--;
    this.#interests.release(watcher.interest);
  }

  isSynced(watcher: Watcher): boolean {
    return watcher.interest.synced.has(watcher);
  }

  scheduleCatchUp(): void {
    if (this.#catchUpScheduled || this.#closed || this.#nextCandidate() === null) return;
    this.#catchUpScheduled = true;
    this.#nextTurn(() => {
      this.#catchUpScheduled = false;
      if (this.#closed) return;
      this.#catchUp();
      this.scheduleCatchUp();
    });
  }

  #listen(): void {
    this.#notifiedRevision = this.store.revision;
    this.#stopListening = this.store.onWrite((revision, events) => this.#gather(revision, events));
  }

  #gather(revision: number, events: readonly StoreEvent[]): void {
    this.#notifiedRevision = revision;
    for (const event of events) {
      this.#interests.match(event, (interest) => {
        if (interest.synced.size === 0) return;
        if (interest.collected.length === 0) this.#touched.push(interest);
        interest.collected.push(event);
      });
    }
    if (this.#flushScheduled || (this.#touched.length === 0 && this.#future.size === 0)) return;
    this.#flushScheduled = true;
    this.#afterTurn(() => {
      this.#flushScheduled = false;
      if (this.#closed) return;
      this.flush();
      this.#wakeFuture();
      this.scheduleCatchUp();
    });
  }

  #fallBehind(watcher: Watcher, next: number): void {
    watcher.next = next;
    watcher.interest.synced.delete(watcher);
    watcher.interest.lagging.add(watcher);
    this.laggingCount++;
    this.enqueue(watcher);
  }

  /** Queues a lagging watcher where it waits: for its stream, for its revision, or for its turn. */
  enqueue(watcher: Watcher): void {
    this.#queue.delete(watcher);
    if (watcher.stream.full) watcher.stream.parked.add(watcher);
    else if (watcher.next > this.store.revision + 1) this.#future.add(watcher);
    else this.#queue.add(watcher);
  }

  #caughtUp(watcher: Watcher): void {
    this.#queue.delete(watcher);
    if (watcher.interest.lagging.delete(watcher)) this.laggingCount--;
    watcher.interest.synced.add(watcher);
  }

  #wakeFuture(): void {
    for (const watcher of this.#future) {
      if (watcher.next > this.store.revision + 1) continue;
      this.#future.delete(watcher);
      this.enqueue(watcher);
    }
  }

  /** The longest waiting watcher whose stream has room. */
  #nextCandidate(): Watcher | null {
    for (const watcher of this.#queue) {
      if (!watcher.stream.full) return watcher;
      this.enqueue(watcher);
    }
    return null;
  }

  /** Serves one slice of history to the longest waiting watcher and to others that need a part of it. */
  #catchUp(): void {
    this.flush();
    const first = this.#nextCandidate();
    if (first === null) return;
    const from = first.next;
    if (from < this.store.compactedRevision) {
      this.#cancelCompacted(first);
      return;
    }
    const { to, events } = this.#readSlice(from);
    const served = [...this.#queue].filter((one) => !one.stream.full && one.next >= from && one.next <= to + 1);
    const batches: SharedBatches = new Map();
    let left = this.#turnBytesMax;
    for (const watcher of served) {
      if (left < 0) break;
      left -= this.#serve(watcher, events.get(watcher.interest) ?? [], to, batches);
    }
  }

  /** Events by interest, of whole revisions from `from` to `to`. */
  #readSlice(from: number): { to: number; events: Map<Interest<Watcher>, StoreEvent[]> } {
    const events = new Map<Interest<Watcher>, StoreEvent[]>();
    let read = 0;
    let bytes = 0;
    let to = this.store.revision;
    let last = from;
    this.store.history(from, to, (event) => {
      if ((read >= this.#sliceEventsMax || bytes >= this.#sliceBytesMax) && event.revision !== last) {
        to = last;
        return false;
      }
      read++;
      bytes += event.kv.length;
      last = event.revision;
      this.#interests.match(event, (interest) => {
        if (interest.lagging.size === 0) return;
        const known = events.get(interest);
        if (known === undefined) events.set(interest, [event]);
        else known.push(event);
      });
      return true;
    });
    return { to, events };
  }

  /** Returns how many bytes were offered. */
  #serve(watcher: Watcher, events: StoreEvent[], to: number, batches: SharedBatches): number {
    const skipped = events.findIndex((event) => event.revision >= watcher.next);
    const batch = skipped < 0 ? null : this.#sharedPart(watcher.interest, events, skipped, batches);
    const bytes = batch?.encoded.length ?? 0;
    const { id, stream } = watcher;
    if (batch !== null && !stream.offer({ kind: "events", watchId: id, revision: this.store.revision, batch }))
      return bytes;
    watcher.next = to + 1;
    // Removed from the queue, or moved to its end.
    if (to === this.store.revision) this.#caughtUp(watcher);
    else this.enqueue(watcher);
    return bytes;
  }

  #sharedPart(
    interest: Interest<Watcher>,
    events: readonly StoreEvent[],
    from: number,
    batches: SharedBatches,
  ): EventBatch {
    const parts = batches.get(interest) ?? new Map<number, EventBatch>();
    batches.set(interest, parts);
    const batch = parts.get(from) ?? encodeBatch(this.store, events.slice(from), interest.options.prevKv);
    parts.set(from, batch);
    return batch;
  }

  #cancelCompacted(watcher: Watcher): void {
    const compactRevision = this.store.compactedRevision;
    if (watcher.stream.offer({ kind: "compacted", watchId: watcher.id, compactRevision })) {
      watcher.stream.forget(watcher.id);
    }
  }
}
