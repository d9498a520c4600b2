/**
 * The one write transaction that a store has open at a time; the same object serves all of them, one after the other.
 */
import { assert } from "../../base/assert.ts";
import { type EncodedKeyValue, writeKeyValue } from "../api/key-value.ts";
import { emptyBytes, WireWriter } from "../api/wire.ts";
import type { Backend } from "./backend/backend.ts";
import { ByteSlab } from "./index/byte-slab.ts";
import type { IndexedStore } from "./index/open-index.ts";
import { rangeAt } from "./range-query.ts";
import type {
  KeyDescription,
  RangeQuery,
  RangeResult,
  ReadBudget,
  StoreCounts,
  StoreEvent,
  WriteListener,
  WriteTransaction,
} from "./store.ts";
import { deleteEvent, putEvent } from "./store-event.ts";

export class StoreWriter implements WriteTransaction {
  readonly #state: IndexedStore;
  readonly #backend: Backend;
  readonly #listeners: ReadonlySet<WriteListener>;
  readonly #encoder = new WireWriter(1024);
  readonly #slab = new ByteSlab();
  readonly #counts: StoreCounts;
  #changes = 0;
  /** Of the open transaction. */
  #operations = 0;
  #events: StoreEvent[] = [];
  #ended: () => void = () => undefined;
  #open = false;

  constructor(state: IndexedStore, backend: Backend, listeners: ReadonlySet<WriteListener>, counts: StoreCounts) {
    this.#counts = counts;
    this.#state = state;
    this.#backend = backend;
    this.#listeners = listeners;
  }

  begin(ended: () => void): WriteTransaction {
    this.#ended = ended;
    this.#open = true;
    this.#changes = 0;
    this.#operations = 0;
    return this;
  }

  get revision(): number {
    return this.#changes === 0 ? this.#state.revision : this.#state.revision + 1;
  }

  range(query: RangeQuery, budget?: ReadBudget): RangeResult {
    this.#counts.ranges++;
    this.#operations++;
    return rangeAt(this.#state, this.#backend, query, { current: this.revision, budget });
  }

  get(key: Uint8Array): EncodedKeyValue | undefined {
    this.#counts.ranges++;
    this.#operations++;
    const { index } = this.#state;
    const slot = index.find(key);
    const record = slot < 0 ? 0 : index.liveAt(slot, this.revision);
    if (record === 0) return undefined;
    return this.#backend.get(index.versions.main(record), index.versions.sub(record));
  }

  describe(key: Uint8Array): KeyDescription | undefined {
    return this.#state.describe(key);
  }

  revisionError(revision: number): "compacted" | "future" | null {
    return this.#state.revisionError(revision, this.revision);
  }

  put(key: Uint8Array, value: Uint8Array, lease: bigint): void {
    assert(this.#open, "a write transaction is used before its end");
    const { index, leases } = this.#state;
    const main = this.#state.revision + 1;
    const sub = this.#changes++;
    const slot = index.put(key, main, sub, lease !== 0n);
    const record = index.head(slot);
    const version = index.versions.version(record);
    const createRevision = index.versions.created(record);
    const kv = this.#encode(key, createRevision, main, version, value, lease);
    this.#backend.put(main, sub, false, kv);
    leases.attach(slot, lease);
    this.#state.pages?.add({ key, main, sub, tombstone: false, created: createRevision, version, lease });
    this.#counts.puts++;
    this.#counts.putBytes += key.length + value.length;
    this.#operations++;
    if (this.#listeners.size > 0) this.#events.push(putEvent(key.length, this.#slab.copy(kv), main, version === 1));
  }

  deleteRange(key: Uint8Array, rangeEnd: Uint8Array): number {
    assert(this.#open, "a write transaction is used before its end");
    const { index } = this.#state;
    const live: number[] = [];
    index.forEachSlot(key, rangeEnd, (slot) => {
      if (index.versions.version(index.head(slot)) !== 0) live.push(slot);
      return true;
    });
    for (const slot of live) this.#deleteSlot(slot);
    this.#counts.deletes++;
    this.#operations++;
    return live.length;
  }

  end(): number {
    assert(this.#open, "a write transaction ends once");
    this.#open = false;
    if (this.#operations > 1) this.#counts.txns++;
    if (this.#changes > 0) this.#state.revision++;
    const { revision } = this.#state;
    if (this.#changes > 0) this.#state.pages?.endRevision(revision);
    this.#ended();
    this.#changes = 0;
    if (this.#events.length > 0) this.#notifyListeners(revision);
    return revision;
  }

  #notifyListeners(revision: number): void {
    const events = this.#events;
    this.#events = [];
    for (const listener of this.#listeners) listener(revision, events);
  }

  #deleteSlot(slot: number): void {
    const { index, leases } = this.#state;
    const main = this.#state.revision + 1;
    const sub = this.#changes++;
    const key = index.keyOf(slot);
    index.tombstone(slot, main, sub);
    leases.attach(slot, 0n);
    this.#backend.put(main, sub, true, this.#encode(key, 0, 0, 0, emptyBytes, 0n));
    this.#state.pages?.add({ key, main, sub, tombstone: true, created: 0, version: 0, lease: 0n });
    if (this.#listeners.size > 0) this.#events.push(deleteEvent(key.slice(), main));
  }

  /** The canonical bytes, valid until the next call. */
  #encode(
    key: Uint8Array,
    createRevision: number,
    modRevision: number,
    version: number,
    value: Uint8Array,
    lease: bigint,
  ): EncodedKeyValue {
    this.#encoder.reset();
    writeKeyValue(this.#encoder, { key, createRevision, modRevision, version, value, lease });
    return this.#encoder.view();
  }
}
