/** What watchers and readers of a follower observe while it installs a snapshot into its store. */
import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall } from "../../../../test/support/single-member.ts";
import { decodeKeyValue } from "../../api/key-value.ts";
import { encodePutRequest } from "../../api/put.ts";
import {
  decodeWatchResponse,
  encodeWatchRequest,
  type WatchCreateRequest,
  watchCreateRequest,
} from "../../api/watch.ts";
import { MemoryBackend } from "../../mvcc/backend/backend.fake.ts";
import { openStore } from "../../mvcc/mvcc-store.ts";
import { openSnapshotStore } from "../../snapshot/snapshot-store.ts";
import { CommandKind } from "../../state-machine/command.ts";
import { encodeLeaseGrant } from "../../state-machine/command-body.ts";
import { MemoryFileSystem } from "../../wal/file-system.fake.ts";
import { SnapshotExchange } from "./snapshot-exchange.ts";

const prefix = { rangeEnd: Uint8Array.of(0) };
const metadata = {
  index: 9,
  term: 2,
  configuration: { voters: ["8e9e05c52164694d"], votersOutgoing: [], learners: [] },
};

/** A disk on which the commit after a replaced content takes fifty turns of the event loop. */
class SlowBackend extends MemoryBackend {
  #turns = 0;

  override async replace(...content: Parameters<MemoryBackend["replace"]>): Promise<void> {
    await super.replace(...content);
    this.#turns = 50;
  }

  override async commit(): Promise<void> {
    for (; this.#turns > 0; this.#turns--) await turn();
    await super.commit();
  }
}

function put(harness: Harness, value: string): Promise<unknown> {
  const request = { key: Buffer.from("k"), value: Buffer.from(value), lease: 0n };
  const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
  return harness.unary("/etcdserverpb.KV/Put", encodePutRequest({ ...request, ...flags }));
}

/** Watches every key; the result returns what was sent since the last call, one word for each event or notification. */
function watch(harness: Harness, fields: Partial<WatchCreateRequest>): () => string[] {
  const { call, handler } = harness.stream("/etcdserverpb.Watch/Watch");
  const request = watchCreateRequest(Uint8Array.of(0), { ...prefix, progressNotify: true, ...fields });
  handler.onMessage(encodeWatchRequest({ kind: "create", request }));
  return () => readWatch(call);
}

function readWatch(call: RecordedCall): string[] {
  return call.messages.splice(0).flatMap((bytes) => {
    const { header, created, canceled, events } = decodeWatchResponse(bytes);
    if (created || canceled) return [`${created ? "created" : "canceled"}@${header!.revision}`];
    if (events.length === 0) return [`note@${header!.revision}`];
    return events.map(({ kv }) => `event@${decodeKeyValue(kv!).modRevision}`);
  });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs `look` between all promises, and in every turn of the event loop, until `work` is done, and once more then. */
async function during(work: Promise<void>, look: () => void): Promise<void> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    for (let i = 0; i < 10; i++) {
      look();
      await null;
    }
    await turn();
  }
  await done;
  look();
}

async function openFollower(): Promise<{ harness: Harness; exchange: SnapshotExchange }> {
  const store = await openStore({ backend: new SlowBackend() });
  const harness = await createHarness({ store, limits: { watchProgressIntervalMs: 100 } });
  const clock = { now: () => 1, monotonicMs: () => 1, sleep: async () => {} };
  const fileSystem = new MemoryFileSystem().mount();
  const exchange = new SnapshotExchange({
    files: await openSnapshotStore({ fileSystem, directory: "snap", clock }),
    store,
    onInstalled: () => harness.services.snapshotInstalled(),
    onLog: () => {},
  });
  return { harness, exchange };
}

/** Delivers the content of `leader` to the follower, which does not install it yet. */
async function deliver(leader: Harness, follower: SnapshotExchange): Promise<void> {
  const { store } = leader.services.machine;
  const sender = new SnapshotExchange({
    files: await openSnapshotStore({
      fileSystem: new MemoryFileSystem().mount(),
      directory: "snap",
      clock: { now: () => 1, monotonicMs: () => 1, sleep: async () => {} },
    }),
    store,
    onInstalled: () => {},
    onLog: () => {},
  });
  await sender.sendRepairSnapshot("8e9e05c52164694d", {
    driver: { step: () => {} },
    raft: { snapshotMetadata: () => metadata, status: () => ({ term: 2 }) as never },
    transport: { sendSnapshot: async (_to, _metadata, chunks) => void (await follower.receive(metadata, chunks)) },
  });
}

describe("a follower that installs a snapshot", () => {
  it("A16: sends no progress notification ahead of events, and moves no watcher back before its creation", async () => {
    const leader = await createHarness();
    const { harness, exchange } = await openFollower();
    for (const value of ["1", "2", "3"]) {
      await put(leader, value);
      await put(harness, value);
    }
    for (const value of ["4", "5", "6"]) await put(leader, value);
    const early = watch(harness, {});
    expect(early()).toEqual(["created@4"]);
    await deliver(leader, exchange);

    const seen: string[] = [];
    const late: (() => string[])[] = [];
    await during(exchange.install(metadata.index), () => {
      if (harness.services.machine.store.revision === 7) late.push(watch(harness, {}));
      harness.clock.nowMs += 1_000;
      harness.services.tick();
      seen.push(...early());
    });
    await turn();
    harness.clock.nowMs += 1_000;
    harness.services.tick();
    seen.push(...early());
    expect(seen.join(" ").replaceAll(/(note@\d+)( \1)+/g, "$1")).toBe("note@4 event@5 event@6 event@7 note@7");
    expect(late.length).toBeGreaterThan(100);
    for (const read of late) expect(new Set(read())).toEqual(new Set(["created@7", "note@7"]));
  });

  it("A16: has the leases of the snapshot in the turn in which it has its keys", async () => {
    const leader = await createHarness();
    const { harness, exchange } = await openFollower();
    const grant = encodeLeaseGrant({ id: 77n, ttlSeconds: 60 });
    await new Promise<void>((resolve) =>
      leader.services.context.proposer.propose(CommandKind.leaseGrant, grant, () => resolve()),
    );
    await put(leader, "1");
    await deliver(leader, exchange);
    const seen = new Set<string>();
    const { machine } = harness.services;
    const look = (): void => void seen.add(`revision ${machine.store.revision}, lease ${machine.leases.has(77n)}`);
    await during(exchange.install(metadata.index), look);
    expect([...seen]).toEqual(["revision 1, lease false", "revision 2, lease true"]);
  });
});
