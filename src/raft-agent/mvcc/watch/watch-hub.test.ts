/** Tests the watch hub against the simplest model: filter the whole history. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeKeyValue } from "../../api/key-value.ts";
import { decodeWatchResponse, type WatchCreateRequest, WatchFilter, watchCreateRequest } from "../../api/watch.ts";
import { MemoryBackend } from "../backend/backend.fake.ts";
import { compareBytes, isOpenEnd } from "../key-range.ts";
import { openStore } from "../mvcc-store.ts";
import type { Store } from "../store.ts";
import type { WatchDelivery } from "./watch-batch.ts";
import { createWatchHub, type WatchHub } from "./watch-hub.ts";
import type { WatchStream } from "./watch-stream.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

function createRequest(overrides: Partial<WatchCreateRequest>): WatchCreateRequest {
  return watchCreateRequest(bytes("a"), overrides);
}

type SeenEvent = { type: number; key: string; revision: number; value: string; previous: string | null };

/** A client that accepts at most `room` deliveries before it is full. */
class Client {
  room = Number.POSITIVE_INFINITY;
  readonly events = new Map<number, SeenEvent[]>();
  readonly compacted = new Map<number, number>();
  readonly stream: WatchStream;
  rejected = false;

  constructor(hub: WatchHub) {
    this.stream = hub.openStream({ offer: (delivery) => this.#take(delivery) });
  }

  #take(delivery: WatchDelivery): boolean {
    if (this.room <= 0) {
      this.rejected = true;
      return false;
    }
    this.room--;
    if (delivery.kind === "compacted") this.compacted.set(delivery.watchId, delivery.compactRevision);
    else {
      const list = this.events.get(delivery.watchId) ?? [];
      this.events.set(delivery.watchId, list);
      const { events } = decodeWatchResponse(delivery.batch.encoded);
      expect(events.length).toBe(delivery.batch.eventEnds.length);
      for (const event of events) {
        const kv = decodeKeyValue(event.kv!);
        list.push({
          type: event.type,
          key: Buffer.from(kv.key).toString(),
          revision: kv.modRevision,
          value: Buffer.from(kv.value).toString(),
          previous: event.prevKv === undefined ? null : Buffer.from(decodeKeyValue(event.prevKv).value).toString(),
        });
      }
    }
    return true;
  }

  drain(room: number): void {
    this.room = room;
    this.rejected = false;
    this.stream.drained();
  }
}

async function openHub(): Promise<{ store: Store; hub: WatchHub; run: () => void }> {
  const store = await openStore({ backend: new MemoryBackend() });
  const tasks: (() => void)[] = [];
  const later = (task: () => void): void => void tasks.push(task);
  const hub = createWatchHub({ store, afterTurn: later, nextTurn: later, sliceEventsMax: 3, turnBytesMax: 60 });
  const run = (): void => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) task();
  };
  return { store, hub, run };
}

function write(store: Store, changes: readonly [key: string, value: string | null][]): void {
  const txn = store.beginWrite();
  for (const [key, value] of changes) {
    if (value === null) txn.deleteRange(bytes(key), bytes(""));
    else txn.put(bytes(key), bytes(value), 0n);
  }
  txn.end();
}

const key = fc.constantFrom("a", "b", "ba", "c", "d");
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      changes: fc.uniqueArray(fc.tuple(key, fc.option(fc.constantFrom("1", "2"))), {
        selector: ([one]) => one,
        maxLength: 3,
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("create" as const),
      client: fc.nat(1),
      key,
      rangeEnd: fc.constantFrom("", "", "\0", "c", "zz"),
      startRevision: fc.integer({ min: 0, max: 25 }),
      filters: fc.constantFrom([], [], [WatchFilter.noPut], [WatchFilter.noDelete]),
      prevKv: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("run" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("room" as const), client: fc.nat(1), room: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("progress" as const), client: fc.nat(1) }) },
);

describe("the watch hub", () => {
  it("delivers exactly the requested history to every watcher, in order, however slow its stream is", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 60 }), async (actions) => {
        const { store, hub, run } = await openHub();
        const clients = [new Client(hub), new Client(hub)];
        const created: { client: number; id: number; request: WatchCreateRequest; from: number }[] = [];
        for (const one of actions) {
          if (one.kind === "write") write(store, one.changes);
          else if (one.kind === "run") run();
          else if (one.kind === "room") clients[one.client]!.drain(one.room);
          else if (one.kind === "progress") checkProgress(store, clients[one.client]!, one.client, created);
          else {
            const request = createRequest({ ...one, key: bytes(one.key), rangeEnd: bytes(one.rangeEnd) });
            const result = clients[one.client]!.stream.create(request);
            if (result.kind !== "created") continue;
            const from = request.startRevision === 0 ? store.revision + 1 : request.startRevision;
            created.push({ client: one.client, id: result.watchId, request, from });
          }
        }
        for (const client of clients) client.drain(Number.POSITIVE_INFINITY);
        run();
        for (const { client, id, request, from } of created) {
          expect(clients[client]!.events.get(id) ?? []).toEqual(expectedEvents(store, request, from, store.revision));
        }
        const futures = created.filter(({ from }) => from > store.revision + 1).length;
        expect(hub.laggingCount).toBe(futures);
        for (const client of clients) client.stream.close();
        expect([hub.watcherCount, hub.laggingCount]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });

  it("cancels a watcher overtaken by compaction, with the compacted revision", async () => {
    const { store, hub, run } = await openHub();
    for (const value of ["1", "2", "3", "4"]) write(store, [["a", value]]);
    await store.compact(4);
    const client = new Client(hub);
    const old = client.stream.create(createRequest({ startRevision: 3 }));
    const exact = client.stream.create(createRequest({ startRevision: 4 }));
    run();
    expect(old).toMatchObject({ kind: "created", watchId: 0, revision: 5 });
    expect([...client.compacted]).toEqual([[0, 4]]);
    expect(client.events.get(exact.kind === "created" ? exact.watchId : -1)?.map((one) => one.revision)).toEqual([
      4, 5,
    ]);
    expect(client.stream.watcherCount).toBe(1);
  });

  it("delivers a delete at the compacted revision to a watcher that starts there", async () => {
    const { store, hub, run } = await openHub();
    for (const value of ["1", null, "2", null]) write(store, [["a", value]]);
    await store.compact(3);
    const client = new Client(hub);
    client.stream.create(createRequest({ startRevision: 3 }));
    run();
    expect(client.events.get(0)?.map(({ type, revision }) => `${type}@${revision}`)).toEqual(["1@3", "0@4", "1@5"]);
  });

  it("continues from history after the store was replaced by a snapshot", async () => {
    const { store, hub, run } = await openHub();
    const ahead = await openStore({ backend: new MemoryBackend() });
    for (const value of ["1", "2", "3"]) write(ahead, [["a", value]]);
    write(store, [["a", "1"]]);
    const client = new Client(hub);
    client.stream.create(createRequest({}));
    run();
    // No watcher has been notified of this yet.
    write(store, [["a", "2"]]);
    await store.importSnapshot(ahead.exportSnapshot());
    hub.storeReplaced();
    run();
    expect(client.events.get(0)?.map((one) => one.value)).toEqual(["2", "3"]);
  });

  it("rejects an empty range, a used id and a negative revision", async () => {
    const { hub } = await openHub();
    const { stream } = new Client(hub);
    expect(stream.create(createRequest({ key: bytes("b"), rangeEnd: bytes("a") }))).toEqual({
      kind: "rejected",
      reason: "emptyRange",
    });
    expect(stream.create(createRequest({ watchId: 5 }))).toMatchObject({ kind: "created", watchId: 5 });
    expect(stream.create(createRequest({ watchId: 5 }))).toEqual({ kind: "rejected", reason: "duplicateWatchId" });
    expect(stream.create(createRequest({ startRevision: -1 }))).toEqual({
      kind: "rejected",
      reason: "negativeRevision",
    });
  });

  it("encodes a batch once for all watchers with the same interest", async () => {
    const { store, hub, run } = await openHub();
    const encoded = new Set<Uint8Array>();
    let deliveries = 0;
    const stream = hub.openStream({
      offer: (delivery) => {
        if (delivery.kind === "events") encoded.add(delivery.batch.encoded);
        deliveries++;
        return true;
      },
    });
    for (let i = 0; i < 100; i++) stream.create(createRequest({}));
    write(store, [["a", "1"]]);
    run();
    expect([deliveries, encoded.size]).toEqual([100, 1]);
  });
});

/** A progress notification promises that everything up to it was delivered. */
function checkProgress(
  store: Store,
  client: Client,
  number: number,
  created: readonly { client: number; id: number; request: WatchCreateRequest; from: number }[],
): void {
  const own = created.filter(({ client: owner }) => owner === number);
  const revision = client.stream.progress();
  for (const { id, request, from } of own) {
    const ownRevision = client.stream.progressOf(id);
    if (revision !== null) expect(ownRevision).toBe(revision);
    if (ownRevision === null) continue;
    expect(ownRevision).toBe(store.revision);
    expect(client.events.get(id) ?? []).toEqual(expectedEvents(store, request, from, ownRevision));
  }
}

function expectedEvents(store: Store, request: WatchCreateRequest, from: number, to: number): SeenEvent[] {
  const expected: SeenEvent[] = [];
  store.history(from, to, (event) => {
    const inRange =
      request.rangeEnd.length === 0
        ? compareBytes(event.key, request.key) === 0
        : compareBytes(event.key, request.key) >= 0 &&
          (isOpenEnd(request.rangeEnd) || compareBytes(event.key, request.rangeEnd) < 0);
    const filtered = request.filters.includes(event.kind === "put" ? WatchFilter.noPut : WatchFilter.noDelete);
    if (!inRange || filtered) return true;
    const previous = request.prevKv ? store.getAt(event.key, event.revision - 1) : undefined;
    const kv = decodeKeyValue(event.kv);
    expected.push({
      type: event.kind === "put" ? 0 : 1,
      key: Buffer.from(event.key).toString(),
      revision: event.revision,
      value: Buffer.from(kv.value).toString(),
      previous: previous === undefined ? null : Buffer.from(decodeKeyValue(previous).value).toString(),
    });
    return true;
  });
  return expected;
}
