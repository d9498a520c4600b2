/**
 * The watchers of one client's stream, and whether its sink has room. The hub decides what is delivered to them, and
 * when (`watch-hub.ts`).
 */
import type { WatchCreateRequest } from "../../api/watch.ts";
import { isEmptyRange } from "../key-range.ts";
import type { Store } from "../store.ts";
import type { WatchDelivery } from "./watch-batch.ts";
import type { Interest } from "./watch-interest.ts";

/** The receiver of a stream's deliveries. */
export type WatchSink = {
  /**
   * Accepts a delivery, or returns false without accepting it: the sink is full until `WatchStream.drained` is called.
   */
  offer(delivery: WatchDelivery): boolean;
};

export type CreateResult =
  /** Send the created response before the turn ends: deliveries start after it. `revision` is for its header. */
  | { readonly kind: "created"; readonly watchId: number; readonly revision: number }
  | { readonly kind: "rejected"; readonly reason: "emptyRange" | "duplicateWatchId" | "negativeRevision" };

export type WatchStream = {
  /** An empty key means the first possible one, as in etcd. */
  create(request: WatchCreateRequest): CreateResult;
  /** False when there is no such watcher. */
  cancel(watchId: number): boolean;
  /** The sink has room again. */
  drained(): void;
  /** The revision up to which every watcher of the stream has received everything, or null while one has not. */
  progress(): number | null;
  /** The same for one watcher. */
  progressOf(watchId: number): number | null;
  readonly watcherCount: number;
  close(): void;
};

export type Watcher = {
  readonly id: number;
  readonly stream: HubStream;
  readonly interest: Interest<Watcher>;
  /** The first revision not delivered yet; maintained only while lagging. */
  next: number;
};

/** What a stream requires of its hub. */
export type StreamHub = {
  readonly store: Store;
  /** Delivers what has been written so far. */
  flush(): void;
  add(stream: HubStream, id: number, request: WatchCreateRequest): Watcher;
  remove(watcher: Watcher): void;
  /** Queues a lagging watcher where it waits. */
  enqueue(watcher: Watcher): void;
  scheduleCatchUp(): void;
  /** The watcher has received everything. */
  isSynced(watcher: Watcher): boolean;
};

export class HubStream implements WatchStream {
  /** The sink rejected a delivery and has not been drained since. */
  full = false;
  /** Lagging watchers that wait for the sink to drain. */
  readonly parked: Set<Watcher> = new Set();
  readonly #hub: StreamHub;
  readonly #sink: WatchSink;
  readonly #watchers = new Map<number, Watcher>();
  #nextId = 0;

  constructor(hub: StreamHub, sink: WatchSink) {
    this.#hub = hub;
    this.#sink = sink;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  create(request: WatchCreateRequest): CreateResult {
    // What was written before this call concerns only watchers that existed then.
    this.#hub.flush();
    if (request.rangeEnd.length > 0 && isEmptyRange(watchedKey(request), request.rangeEnd)) {
      return { kind: "rejected", reason: "emptyRange" };
    }
    if (request.startRevision < 0) return { kind: "rejected", reason: "negativeRevision" };
    if (request.watchId !== 0 && this.#watchers.has(request.watchId)) {
      return { kind: "rejected", reason: "duplicateWatchId" };
    }
    const watchId = request.watchId === 0 ? this.#unusedId() : request.watchId;
    this.#watchers.set(watchId, this.#hub.add(this, watchId, request));
    return { kind: "created", watchId, revision: this.#hub.store.revision };
  }

  cancel(watchId: number): boolean {
    return this.forget(watchId);
  }

  drained(): void {
    this.full = false;
    const parked = [...this.parked];
    this.parked.clear();
    for (const watcher of parked) this.#hub.enqueue(watcher);
    this.#hub.scheduleCatchUp();
  }

  progress(): number | null {
    this.#hub.flush();
    if (this.full) return null;
    for (const watcher of this.#watchers.values()) if (!this.#hub.isSynced(watcher)) return null;
    return this.#hub.store.revision;
  }

  progressOf(watchId: number): number | null {
    this.#hub.flush();
    const watcher = this.#watchers.get(watchId);
    return watcher === undefined || this.full || !this.#hub.isSynced(watcher) ? null : this.#hub.store.revision;
  }

  close(): void {
    for (const watcher of this.#watchers.values()) this.#hub.remove(watcher);
    this.#watchers.clear();
  }

  offer(delivery: WatchDelivery): boolean {
    if (this.full) return false;
    this.full = !this.#sink.offer(delivery);
    return !this.full;
  }

  forget(watchId: number): boolean {
    const watcher = this.#watchers.get(watchId);
    if (watcher === undefined) return false;
    this.#watchers.delete(watchId);
    this.#hub.remove(watcher);
    return true;
  }

  #unusedId(): number {
    while (this.#watchers.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }
}

const firstKey = new Uint8Array(1);

export function watchedKey(request: WatchCreateRequest): Uint8Array {
  return request.key.length === 0 ? firstKey : request.key;
}
