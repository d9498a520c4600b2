/** The written history, revision by revision, as applied by the first member: the reference for watchers. */
import { decodeKeyValue, type KeyValue } from "../../../src/raft-agent/api/key-value.ts";
import type { Store } from "../../../src/raft-agent/mvcc/store.ts";

export type WrittenEvent = {
  readonly revision: number;
  readonly key: string;
  /** Null for a delete. */
  readonly put: KeyValue | null;
  /** The key before the change. */
  readonly previous: KeyValue | null;
  /** When it was first applied anywhere. */
  readonly atMs: number;
};

export class WrittenHistory {
  readonly events: WrittenEvent[] = [];
  /** The highest revision that any member has compacted. */
  compacted = 0;
  #last = 1;
  readonly #live = new Map<string, KeyValue>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Called whenever a member has applied an entry. */
  take(store: Store): void {
    this.compacted = Math.max(this.compacted, store.compactedRevision);
    if (store.revision <= this.#last) return;
    store.history(this.#last + 1, store.revision, ({ kind, kv, revision, key: bytes }) => {
      const key = Buffer.from(bytes).toString();
      const put = kind === "put" ? decodeKeyValue(kv.slice()) : null;
      this.events.push({ revision, key, put, previous: this.#live.get(key) ?? null, atMs: this.#now() });
      if (put === null) this.#live.delete(key);
      else this.#live.set(key, put);
      return true;
    });
    this.#last = store.revision;
  }
}
