/**
 * Range: the key-values of a range that are live at a revision, filtered, sorted and limited like etcd. Everything but
 * sorting by value is decided on the index alone; only the returned values are read from the backend.
 */
import { assert } from "../../base/assert.ts";
import { decodeKeyValue, type EncodedKeyValue, encodeKeyValue } from "../api/key-value.ts";
import { SortOrder, SortTarget } from "../api/range.ts";
import { emptyBytes } from "../api/wire.ts";
import type { Backend } from "./backend/backend.ts";
import type { IndexedStore } from "./index/open-index.ts";
import { compareBytes } from "./key-range.ts";
import { type RangeCursor, type RangeQuery, type RangeResult, type ReadBudget, RevisionError } from "./store.ts";

/** A key-value that is live at the requested revision. */
type Hit = { readonly slot: number; readonly record: number };

/** The result of a range before its key-values are read. */
type Found = { readonly hits: readonly Hit[]; readonly count: number; readonly more: boolean };

/** `current` is the latest revision visible to the view. */
export type ReadLimits = { readonly current: number; readonly budget: ReadBudget | undefined };

/** @throws RevisionError when the revision cannot be read. */
export function rangeAt(
  store: IndexedStore,
  backend: Backend,
  query: RangeQuery,
  { current, budget }: ReadLimits,
): RangeResult {
  const { hits, count, more } = find(store, backend, query, readableRevision(store, query, current));
  const readHit = query.keysOnly ? readWithoutValue : readOne;
  if (budget === undefined) return { kvs: hits.map((hit) => readHit(store, backend, hit)), count, more };
  const kvs: EncodedKeyValue[] = [];
  for (let at = 0; at < hits.length && budget.leftBytes >= 0; at++) {
    const kv = readHit(store, backend, hits[at]!);
    budget.leftBytes -= kv.length;
    kvs.push(kv);
  }
  return { kvs, count, more };
}

/** Like `rangeAt`, but the key-values are read incrementally. @throws RevisionError */
export function openRange(current: () => IndexedStore, backend: Backend, query: RangeQuery): RangeCursor {
  const store = current();
  const revision = readableRevision(store, query, store.revision);
  return new Cursor(current, backend, query.keysOnly, revision, find(store, backend, query, revision));
}

/** The cost of reading a key-value beside its bytes: many small ones take as long as a few large ones. */
const overheadBytes = 100;

class Cursor implements RangeCursor {
  readonly count: number;
  readonly more: boolean;
  /** The store's content may be replaced. */
  readonly #current: () => IndexedStore;
  readonly #store: IndexedStore;
  readonly #backend: Backend;
  readonly #keysOnly: boolean;
  readonly #revision: number;
  readonly #hits: readonly Hit[];
  #next = 0;

  constructor(current: () => IndexedStore, backend: Backend, keysOnly: boolean, revision: number, found: Found) {
    this.#current = current;
    this.#store = current();
    this.#backend = backend;
    this.#keysOnly = keysOnly;
    this.#revision = revision;
    this.#hits = found.hits;
    this.count = found.count;
    this.more = found.more;
  }

  get keysLeft(): number {
    return this.#hits.length - this.#next;
  }

  get readable(): boolean {
    return this.#current() === this.#store && this.#store.compactedRevision <= this.#revision;
  }

  read(bytesMax: number): EncodedKeyValue[] {
    const readHit = this.#keysOnly ? readWithoutValue : readOne;
    const kvs: EncodedKeyValue[] = [];
    for (let bytes = 0; bytes < bytesMax && this.#next < this.#hits.length; this.#next++) {
      const kv = readHit(this.#store, this.#backend, this.#hits[this.#next]!);
      bytes += kv.length + overheadBytes;
      kvs.push(kv);
    }
    return kvs;
  }
}

function readableRevision(store: IndexedStore, query: RangeQuery, current: number): number {
  const revision = query.revision > 0 ? query.revision : current;
  const problem = store.revisionError(revision, current);
  if (problem !== null) throw new RevisionError(problem, store.compactedRevision);
  return revision;
}

function find(store: IndexedStore, backend: Backend, query: RangeQuery, revision: number): Found {
  const limit = query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY;
  const count = store.index.countLive(query.key, query.rangeEnd, revision);
  if (query.countOnly || count === 0) return { hits: [], count, more: false };
  if (!isFiltered(query) && !isSorted(query)) {
    return { hits: collect(store, query, revision, limit), count, more: count > limit };
  }
  // Without an order etcd sorts by its target only what remains after the limit, and the one after it.
  const whole = isFiltered(query) || query.sortOrder !== SortOrder.none;
  const found = collect(store, query, revision, whole ? Number.POSITIVE_INFINITY : limit + 1);
  const hits = sort(store, backend, filter(store, found, query), query);
  return { hits: hits.length > limit ? hits.slice(0, limit) : hits, count, more: hits.length > limit };
}

function isFiltered(query: RangeQuery): boolean {
  return (
    query.minModRevision !== 0 ||
    query.maxModRevision !== 0 ||
    query.minCreateRevision !== 0 ||
    query.maxCreateRevision !== 0
  );
}

/** Key order is the index's; another target without an order means ascending. */
function isSorted(query: RangeQuery): boolean {
  return query.sortTarget !== SortTarget.key || query.sortOrder === SortOrder.descend;
}

/** The first `limit` live keys of the range. */
function collect(store: IndexedStore, query: RangeQuery, revision: number, limit: number): Hit[] {
  const { index } = store;
  const hits: Hit[] = [];
  index.forEachSlot(query.key, query.rangeEnd, (slot) => {
    const record = index.liveAt(slot, revision);
    if (record !== 0) hits.push({ slot, record });
    return hits.length < limit;
  });
  return hits;
}

function filter(store: IndexedStore, hits: Hit[], query: RangeQuery): Hit[] {
  if (!isFiltered(query)) return hits;
  const { versions } = store.index;
  const within = (value: number, min: number, max: number): boolean =>
    (min === 0 || value >= min) && (max === 0 || value <= max);
  return hits.filter(
    ({ record }) =>
      within(versions.main(record), query.minModRevision, query.maxModRevision) &&
      within(versions.created(record), query.minCreateRevision, query.maxCreateRevision),
  );
}

/** Equal elements stay in key order, also when descending. */
function sort(store: IndexedStore, backend: Backend, hits: Hit[], query: RangeQuery): Hit[] {
  if (!isSorted(query)) return hits;
  if (query.sortTarget === SortTarget.key) return hits.reverse();
  const sign = query.sortOrder === SortOrder.descend ? -1 : 1;
  if (query.sortTarget === SortTarget.value) return sortByValue(store, backend, hits, sign);
  const numberOf = sortNumber(store, query.sortTarget);
  return hits.sort((a, b) => sign * (numberOf(a.record) - numberOf(b.record)));
}

function sortNumber(store: IndexedStore, target: number): (record: number) => number {
  const { versions } = store.index;
  if (target === SortTarget.version) return (record) => versions.version(record);
  if (target === SortTarget.create) return (record) => versions.created(record);
  return (record) => versions.main(record);
}

function sortByValue(store: IndexedStore, backend: Backend, hits: readonly Hit[], sign: number): Hit[] {
  const valued = hits.map((hit) => ({ hit, value: decodeKeyValue(readOne(store, backend, hit)).value }));
  return valued.sort((a, b) => sign * compareBytes(a.value, b.value)).map(({ hit }) => hit);
}

function readOne(store: IndexedStore, backend: Backend, { record }: Hit): EncodedKeyValue {
  const { versions } = store.index;
  const value = backend.get(versions.main(record), versions.sub(record));
  assert(value !== undefined, () => `revision ${versions.main(record)} is indexed, so its value is stored`);
  return value;
}

/** Built from the index; only a leased key needs the disk, since the index does not store past leases. */
function readWithoutValue(store: IndexedStore, backend: Backend, hit: Hit): EncodedKeyValue {
  const { index } = store;
  const { versions } = index;
  if (versions.leased(hit.record)) {
    return encodeKeyValue({ ...decodeKeyValue(readOne(store, backend, hit)), value: emptyBytes });
  }
  return encodeKeyValue({
    key: index.keyOf(hit.slot),
    createRevision: versions.created(hit.record),
    modRevision: versions.main(hit.record),
    version: versions.version(hit.record),
    value: emptyBytes,
    lease: 0n,
  });
}
