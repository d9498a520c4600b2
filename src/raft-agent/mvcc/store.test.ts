/**
 * Tests the store against a naive model: every command sequence, both backends, with restarts, crashes and
 * compactions.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { decodeKeyValue, type KeyValue } from "../api/key-value.ts";
import { prefixEnd } from "../api/prefix-end.ts";
import { rangeRequest, SortOrder, SortTarget } from "../api/range.ts";
import { MemoryBackend } from "./backend/backend.fake.ts";
import type { Backend } from "./backend/backend.ts";
import { openLmdbBackend } from "./backend/lmdb-backend.ts";
import { openStore } from "./mvcc-store.ts";
import { NaiveStore } from "./store.fake.ts";
import { RevisionError, type Store, type StoreEvent } from "./store.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const none = new Uint8Array(0);
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function temporaryDir(): string {
  const directory = mkdtempSync(join(tmpdir(), "haplan-store-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const keyText = fc.constantFrom("a", "aa", "ab", "b", "ba", "c", "d/1", "d/2", "d/3", "zz");
const rangeText = fc.tuple(keyText, fc.constantFrom("", "\0", "b", "c", "d/2", "zzz"));
const change = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key: keyText,
      value: fc.string({ maxLength: 4 }),
      lease: fc.constantFrom(0n, 0n, 7n, 9n),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), range: rangeText }) },
);
const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("write" as const), changes: fc.array(change, { maxLength: 3 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("range" as const),
      range: rangeText,
      query: fc.record({
        revision: fc.integer({ min: -1, max: 25 }),
        limit: fc.integer({ min: 0, max: 4 }),
        sortOrder: fc.constantFrom(0, 1, 2),
        sortTarget: fc.constantFrom(0, 1, 2, 3, 4),
        keysOnly: fc.boolean(),
        countOnly: fc.constantFrom(false, false, false, true),
        minModRevision: fc.constantFrom(0, 0, 3),
        maxModRevision: fc.constantFrom(0, 0, 9),
        minCreateRevision: fc.constantFrom(0, 0, 3),
        maxCreateRevision: fc.constantFrom(0, 0, 9),
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("compact" as const), revision: fc.integer({ min: 0, max: 25 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("snapshot" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leases" as const) }) },
);
type Command = typeof command extends fc.Arbitrary<infer One> ? One : never;

function outcome<Result>(act: () => Result): Result | string {
  try {
    return act();
  } catch (error) {
    if (error instanceof RevisionError) return error.reason;
    throw error;
  }
}

const readable = (kv: KeyValue): unknown => ({
  key: Buffer.from(kv.key).toString(),
  value: Buffer.from(kv.value).toString(),
  create: kv.createRevision,
  mod: kv.modRevision,
  version: kv.version,
  lease: kv.lease,
});

class Pair {
  readonly model = new NaiveStore();
  store: Store;
  readonly seen: StoreEvent[] = [];
  readonly #reopenBackend: () => Promise<Backend>;

  constructor(store: Store, reopen: () => Promise<Backend>) {
    this.store = store;
    this.#reopenBackend = reopen;
    this.#listen();
  }

  #listen(): void {
    this.store.onWrite((_revision, events) => this.seen.push(...events));
  }

  async run(one: Command): Promise<void> {
    switch (one.kind) {
      case "write":
        return this.#write(one.changes);
      case "range":
        return this.#range(rangeRequest(bytes(one.range[0]), { ...one.query, rangeEnd: bytes(one.range[1]) }));
      case "compact": {
        const expected = outcome(() => this.model.compact(one.revision));
        const done = outcome(() => this.store.compact(one.revision));
        if (typeof done === "string") expect(done).toBe(expected);
        else await done;
        return;
      }
      case "reopen":
        await this.store.close();
        this.store = await openStore({ backend: await this.#reopenBackend() });
        this.#listen();
        return expect(this.store.revision).toBe(this.model.revision);
      case "snapshot": {
        const other = await openStore({ backend: new MemoryBackend() });
        await other.importSnapshot(this.store.exportSnapshot());
        expect(await other.hashKv(0)).toEqual(await this.store.hashKv(0));
        const all = rangeRequest(none, { rangeEnd: bytes("\0") });
        expect(other.range(all).kvs.map((kv) => Buffer.from(kv).toString("hex"))).toEqual(
          this.store.range(all).kvs.map((kv) => Buffer.from(kv).toString("hex")),
        );
        return;
      }
      case "leases":
        for (const lease of [7n, 9n]) {
          expect(this.store.keysOfLease(lease).map((key) => Buffer.from(key).toString())).toEqual(
            this.model.keysOfLease(lease),
          );
        }
    }
  }

  #write(changes: (Command & { kind: "write" })["changes"]): void {
    const txn = this.store.beginWrite();
    const model = this.model.begin();
    for (const one of changes) {
      if (one.kind === "put") {
        txn.put(bytes(one.key), bytes(one.value), one.lease);
        model.put(one.key, one.value, one.lease);
        expect(txn.describe(bytes(one.key))?.modRevision).toBe(txn.revision);
      } else {
        expect(txn.deleteRange(bytes(one.range[0]), bytes(one.range[1]))).toBe(model.deleteRange(...one.range));
      }
      const all = rangeRequest(none, { rangeEnd: bytes("\0") });
      expect(txn.range(all).kvs.map((kv) => readable(decodeKeyValue(kv)))).toEqual(model.range(all).kvs.map(readable));
    }
    expect(txn.end()).toBe(model.end());
  }

  #range(request: ReturnType<typeof rangeRequest>): void {
    const expected = outcome(() => this.model.range(request));
    const result = outcome(() => this.store.range(request));
    if (typeof result === "string" || typeof expected === "string") {
      expect(result).toBe(expected);
      return;
    }
    expect(result.kvs.map((kv) => readable(decodeKeyValue(kv)))).toEqual(expected.kvs.map(readable));
    expect({ count: result.count, more: result.more }).toEqual({ count: expected.count, more: expected.more });
  }

  async checkHistory(): Promise<void> {
    const from = Math.max(this.model.compacted, 0) + 1;
    const events: unknown[] = [];
    this.store.history(from, this.store.revision, (event) => {
      events.push([event.kind, event.revision, Buffer.from(event.key).toString(), event.created]);
      return true;
    });
    expect(events).toEqual(this.model.history(from));
    const received = this.seen.filter((event) => event.revision >= from);
    expect(
      received.map((event) => [event.kind, event.revision, Buffer.from(event.key).toString(), event.created]),
    ).toEqual(this.model.history(from));
  }
}

async function check(commands: Command[], backend: Backend, reopen: () => Promise<Backend>): Promise<void> {
  const pair = new Pair(await openStore({ backend }), reopen);
  for (const one of commands) await pair.run(one);
  await pair.checkHistory();
  await pair.store.close();
}

describe("the store", () => {
  it("behaves like the naive model over memory", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
        const backend = new MemoryBackend();
        let latest = backend;
        await check(commands, backend, async () => (latest = latest.afterCrash()));
      }),
      { numRuns: 150 },
    );
  });

  it("behaves like the naive model over LMDB", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 40 }), async (commands) => {
        const directory = temporaryDir();
        const open = (): Backend => openLmdbBackend({ directory, commitIntervalMs: 1, commitOperationsMax: 3 });
        await check(commands, open(), async () => open());
      }),
      { numRuns: 25 },
    );
  });

  it("recovers after a crash exactly the last commit, index included", async () => {
    const backend = new MemoryBackend();
    const store = await openStore({ backend });
    const put = (key: string, index: number): void => {
      const txn = store.beginWrite();
      txn.put(bytes(key), bytes("v"), 0n);
      txn.end();
      store.setConsistentIndex(index, 3);
    };
    put("a", 10);
    await store.flush();
    put("b", 11);
    expect(store.flushedIndex).toBe(10);
    const restarted = await openStore({ backend: backend.afterCrash() });
    expect([restarted.revision, restarted.consistentIndex, restarted.consistentTerm]).toEqual([2, 10, 3]);
    expect(restarted.get(bytes("b"))).toBeUndefined();
  });

  it("reads a prefix in descending order of version", async () => {
    const store = await openStore({ backend: new MemoryBackend() });
    for (const key of ["p/1", "p/2", "p/2", "q"]) {
      const txn = store.beginWrite();
      txn.put(bytes(key), bytes("v"), 0n);
      txn.end();
    }
    const query = { rangeEnd: prefixEnd(bytes("p/")), sortOrder: SortOrder.descend, sortTarget: SortTarget.version };
    const { kvs } = store.range(rangeRequest(bytes("p/"), query));
    expect(kvs.map((kv) => Buffer.from(decodeKeyValue(kv).key).toString())).toEqual(["p/2", "p/1"]);
  });

  it("keeps equal elements in key order when it sorts descending", async () => {
    const store = await openStore({ backend: new MemoryBackend() });
    for (const key of ["p/1", "p/2", "p/2", "p/3"]) {
      const txn = store.beginWrite();
      txn.put(bytes(key), bytes("same"), 0n);
      txn.end();
    }
    const keysBy = (sortTarget: number): string[] => {
      const query = { rangeEnd: prefixEnd(bytes("p/")), sortOrder: SortOrder.descend, sortTarget };
      const { kvs } = store.range(rangeRequest(bytes("p/"), query));
      return kvs.map((kv) => Buffer.from(decodeKeyValue(kv).key).toString());
    };
    expect(keysBy(SortTarget.version)).toEqual(["p/2", "p/1", "p/3"]);
    expect(keysBy(SortTarget.value)).toEqual(["p/1", "p/2", "p/3"]);
  });

  it("reaches a snapshot's index only when its keys can be read", async () => {
    const from = await openStore({ backend: new MemoryBackend() });
    const txn = from.beginWrite();
    txn.put(bytes("key"), bytes("v"), 0n);
    txn.end();
    from.setConsistentIndex(7, 1);
    const backend = new MemoryBackend();
    const store = await openStore({ backend });
    let isOver = false;
    let turns = 0;
    const done = store.importSnapshot(from.exportSnapshot()).then(() => {
      isOver = true;
    });
    for (; !isOver; turns++) {
      expect(store.get(bytes("key")) !== undefined).toBe(store.consistentIndex === 7);
      await Promise.resolve();
    }
    await done;
    expect(turns).toBeGreaterThan(3);
    expect(store.consistentIndex).toBe(7);
  });

  it("rejects a damaged snapshot and keeps its content", async () => {
    const directory = temporaryDir();
    const store = await openStore({ backend: openLmdbBackend({ directory }) });
    const txn = store.beginWrite();
    txn.put(bytes("kept"), bytes("v"), 0n);
    txn.end();
    const chunks: Buffer[] = [];
    for await (const chunk of store.exportSnapshot()) chunks.push(Buffer.from(chunk));
    const whole = Buffer.concat(chunks);
    for (const damage of [whole.subarray(0, whole.length - 1), flip(whole, 60), Buffer.concat([whole, whole])]) {
      await expect(store.importSnapshot(once(damage))).rejects.toMatchObject({ code: "store/bad-snapshot" });
      expect(store.get(bytes("kept"))).toBeDefined();
    }
    await store.importSnapshot(once(whole));
    expect(store.get(bytes("kept"))).toBeDefined();
    await store.close();
  });
});

async function* once(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}

function flip(from: Buffer, at: number): Buffer {
  const copy = Buffer.from(from);
  copy[at]! ^= 1;
  return copy;
}
