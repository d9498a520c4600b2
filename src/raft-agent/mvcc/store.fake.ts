/** A naive implementation of the store's semantics: whole copies of the map per revision. Only for tests. */
import type { KeyValue } from "../api/key-value.ts";
import { SortOrder, SortTarget } from "../api/range.ts";
import { compareBytes, isOpenEnd } from "./key-range.ts";
import { type RangeQuery, RevisionError } from "./store.ts";

type Keys = Map<string, KeyValue>;
type Change = [kind: "put" | "delete", revision: number, key: string, created: boolean];

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

export class NaiveStore {
  revision = 1;
  compacted = -1;
  /** The state after each revision. */
  readonly #states: Keys[] = [new Map(), new Map()];
  readonly #changes: Change[] = [];

  begin(): NaiveTransaction {
    return new NaiveTransaction(this, new Map(this.#states[this.revision]!), (keys, changes) => {
      if (changes.length === 0) return;
      this.revision++;
      this.#states.push(keys);
      this.#changes.push(...changes);
    });
  }

  range(query: RangeQuery): { kvs: KeyValue[]; count: number; more: boolean } {
    if (query.revision > this.revision) throw new RevisionError("future", this.compacted);
    if (query.revision > 0 && query.revision < this.compacted) throw new RevisionError("compacted", this.compacted);
    return rangeOf(this.#states[query.revision > 0 ? query.revision : this.revision]!, query);
  }

  compact(revision: number): void {
    if (revision <= this.compacted) throw new RevisionError("compacted", this.compacted);
    if (revision > this.revision) throw new RevisionError("future", this.compacted);
    this.compacted = revision;
  }

  history(from: number): Change[] {
    return this.#changes.filter(([, revision]) => revision >= from);
  }

  keysOfLease(lease: bigint): string[] {
    const keys = [...this.#states[this.revision]!.values()].filter((kv) => kv.lease === lease);
    return keys.map((kv) => text(kv.key)).sort();
  }
}

class NaiveTransaction {
  readonly #changes: Change[] = [];
  readonly #store: NaiveStore;
  readonly #keys: Keys;
  readonly #done: (keys: Keys, changes: Change[]) => void;

  constructor(store: NaiveStore, keys: Keys, done: (keys: Keys, changes: Change[]) => void) {
    this.#store = store;
    this.#keys = keys;
    this.#done = done;
  }

  put(key: string, value: string, lease: bigint): void {
    const revision = this.#store.revision + 1;
    const old = this.#keys.get(key);
    this.#keys.set(key, {
      key: Buffer.from(key),
      value: Buffer.from(value),
      createRevision: old?.createRevision ?? revision,
      modRevision: revision,
      version: (old?.version ?? 0) + 1,
      lease,
    });
    this.#changes.push(["put", revision, key, old === undefined]);
  }

  deleteRange(key: string, rangeEnd: string): number {
    const doomed = inRange(this.#keys, Buffer.from(key), Buffer.from(rangeEnd));
    for (const kv of doomed) {
      this.#keys.delete(text(kv.key));
      this.#changes.push(["delete", this.#store.revision + 1, text(kv.key), false]);
    }
    return doomed.length;
  }

  range(query: RangeQuery): { kvs: KeyValue[] } {
    return rangeOf(this.#keys, query);
  }

  end(): number {
    this.#done(this.#keys, this.#changes);
    return this.#store.revision;
  }
}

function inRange(keys: Keys, key: Uint8Array, rangeEnd: Uint8Array): KeyValue[] {
  const holds = (one: Uint8Array): boolean => {
    if (rangeEnd.length === 0) return compareBytes(one, key) === 0;
    return compareBytes(one, key) >= 0 && (isOpenEnd(rangeEnd) || compareBytes(one, rangeEnd) < 0);
  };
  return [...keys.values()].filter((kv) => holds(kv.key)).sort((a, b) => compareBytes(a.key, b.key));
}

function rangeOf(keys: Keys, query: RangeQuery): { kvs: KeyValue[]; count: number; more: boolean } {
  const found = inRange(keys, query.key, query.rangeEnd);
  const count = found.length;
  if (query.countOnly) return { kvs: [], count, more: false };
  const kvs = found.filter(
    (kv) =>
      (query.minModRevision === 0 || kv.modRevision >= query.minModRevision) &&
      (query.maxModRevision === 0 || kv.modRevision <= query.maxModRevision) &&
      (query.minCreateRevision === 0 || kv.createRevision >= query.minCreateRevision) &&
      (query.maxCreateRevision === 0 || kv.createRevision <= query.maxCreateRevision),
  );
  const filters = [query.minModRevision, query.maxModRevision, query.minCreateRevision, query.maxCreateRevision];
  if (query.sortOrder === SortOrder.none && query.limit > 0 && filters.every((one) => one === 0)) {
    // etcd: an unordered result is cut before it is sorted, one after the limit.
    kvs.splice(query.limit + 1);
  }
  if (query.sortOrder !== SortOrder.none || query.sortTarget !== SortTarget.key) {
    const measure = (kv: KeyValue): number => [0, kv.version, kv.createRevision, kv.modRevision][query.sortTarget] ?? 0;
    const order = (a: KeyValue, b: KeyValue): number => {
      if (query.sortTarget === SortTarget.key) return compareBytes(a.key, b.key);
      return query.sortTarget === SortTarget.value ? compareBytes(a.value, b.value) : measure(a) - measure(b);
    };
    // Sorting is stable: equal elements stay in key order in both directions.
    kvs.sort((a, b) => (query.sortOrder === SortOrder.descend ? order(b, a) : order(a, b)));
  }
  const cut = query.limit > 0 ? kvs.slice(0, query.limit) : kvs;
  const answered = query.keysOnly ? cut.map((kv) => ({ ...kv, value: new Uint8Array(0) })) : cut;
  return { kvs: answered, count, more: kvs.length > cut.length };
}
