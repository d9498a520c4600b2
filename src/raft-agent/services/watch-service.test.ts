import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall } from "../../../test/support/single-member.ts";
import { encodeCompactionRequest } from "../api/compaction.ts";
import { encodeDeleteRangeRequest } from "../api/delete-range.ts";
import { decodeKeyValue } from "../api/key-value.ts";
import { encodePutRequest } from "../api/put.ts";
import {
  decodeWatchResponse,
  encodeWatchRequest,
  type WatchCreateRequest,
  WatchFilter,
  watchCreateRequest,
} from "../api/watch.ts";
import type { StreamHandler } from "../grpc/call.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";

const text = (value: string): Uint8Array => Buffer.from(value);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const put = (harness: Harness, key: string, value: string): Promise<unknown> =>
  harness.unary(
    "/etcdserverpb.KV/Put",
    encodePutRequest({
      key: text(key),
      value: text(value),
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    }),
  );
const remove = (harness: Harness, key: string, rangeEnd = ""): Promise<unknown> =>
  harness.unary(
    "/etcdserverpb.KV/DeleteRange",
    encodeDeleteRangeRequest({ key: text(key), rangeEnd: text(rangeEnd), prevKv: false }),
  );
const compact = (harness: Harness, revision: number): Promise<unknown> =>
  harness.unary("/etcdserverpb.KV/Compact", encodeCompactionRequest({ revision, physical: true }));

type Watching = { call: RecordedCall; handler: StreamHandler };

function openWatch(harness: Harness, headers?: Record<string, string>): Watching {
  return harness.stream("/etcdserverpb.Watch/Watch", headers);
}

function create({ handler }: Watching, key: string, parts: Partial<WatchCreateRequest> = {}): void {
  const request = watchCreateRequest(text(key), parts);
  handler.onMessage(encodeWatchRequest({ kind: "create", request }));
}

/** One line per response since the last call. */
function transcript({ call }: Watching): string[] {
  return call.messages.splice(0).map((message) => {
    const answer = decodeWatchResponse(message);
    const words = [`#${answer.watchId}@${answer.header?.revision}`];
    if (answer.created) words.push("created");
    if (answer.canceled) words.push("canceled");
    if (answer.compactRevision !== 0) words.push(`compacted=${answer.compactRevision}`);
    if (answer.cancelReason !== "") words.push(`"${answer.cancelReason}"`);
    if (answer.fragment) words.push("fragment");
    for (const event of answer.events) {
      const kv = decodeKeyValue(event.kv!);
      const before = event.prevKv === undefined ? "" : `(was ${shown(decodeKeyValue(event.prevKv).value)})`;
      const value = shown(kv.value);
      words.push(event.type === 0 ? `${Buffer.from(kv.key)}=${value}${before}` : `-${Buffer.from(kv.key)}${before}`);
    }
    return words.join(" ");
  });
}

function shown(value: Uint8Array): string {
  return value.length > 100 ? `${value.length} bytes` : Buffer.from(value).toString();
}

describe("watch service", () => {
  it("sends created first, then the events of the turn in order", async () => {
    const harness = await createHarness();
    const watching = openWatch(harness);
    create(watching, "a", { rangeEnd: text("c") });
    await put(harness, "a", "1");
    await put(harness, "c", "not in range");
    await put(harness, "b", "2");
    await remove(harness, "a");
    await turn();
    expect(
      transcript(watching)
        .join(" | ")
        .replaceAll(/ \| #0@\d+/g, ""),
    ).toBe("#0@1 created a=1 b=2 -a");
  });

  it("assigns free ids, accepts the client's, and rejects duplicates and empty ranges", async () => {
    const harness = await createHarness();
    const watching = openWatch(harness);
    create(watching, "a");
    create(watching, "a", { watchId: 7 });
    create(watching, "a", { watchId: 7 });
    create(watching, "a");
    create(watching, "b", { rangeEnd: text("a") });
    create(watching, "a", { startRevision: -1 });
    expect(transcript(watching)).toEqual([
      "#0@1 created",
      "#7@1 created",
      '#-1@1 created canceled "mvcc: duplicate watch ID provided on the WatchStream"',
      "#1@1 created",
      '#-1@1 created canceled "mvcc: watcher range is empty"',
      '#-1@1 created canceled "mvcc: required revision has been compacted"',
    ]);
  });

  it("serves history, previous values and filters", async () => {
    const harness = await createHarness();
    for (const value of ["1", "2"]) await put(harness, "a", value);
    await remove(harness, "a");
    const watching = openWatch(harness);
    create(watching, "a", { startRevision: 2, prevKv: true });
    create(watching, "a", { startRevision: 2, filters: [WatchFilter.noPut] });
    await turn();
    await turn();
    expect(transcript(watching)).toEqual(["#0@4 created", "#1@4 created", "#0@4 a=1 a=2(was 1) -a(was 2)", "#1@4 -a"]);
  });

  it("cancels a watcher whose start is compacted, with the compacted revision", async () => {
    const harness = await createHarness();
    for (const value of ["1", "2", "3"]) await put(harness, "a", value);
    await compact(harness, 3);
    const watching = openWatch(harness);
    create(watching, "a", { startRevision: 2 });
    await turn();
    await turn();
    expect(transcript(watching)).toEqual(["#0@4 created", "#0@0 canceled compacted=3"]);
  });

  it("responds to the cancel of a known watcher only", async () => {
    const harness = await createHarness();
    const watching = openWatch(harness);
    create(watching, "a");
    watching.handler.onMessage(encodeWatchRequest({ kind: "cancel", watchId: 0 }));
    watching.handler.onMessage(encodeWatchRequest({ kind: "cancel", watchId: 0 }));
    await put(harness, "a", "1");
    await turn();
    expect(transcript(watching)).toEqual(["#0@1 created", "#0@1 canceled"]);
  });

  it("responds to a progress request after the preceding events, and not while a watcher is behind", async () => {
    const harness = await createHarness();
    const watching = openWatch(harness);
    const ask = (): void => watching.handler.onMessage(encodeWatchRequest({ kind: "progress" }));
    ask();
    create(watching, "a");
    await put(harness, "a", "1");
    ask();
    expect(transcript(watching)).toEqual(["#0@1 created", "#0@2 a=1", "#-1@2"]);
    create(watching, "a", { startRevision: 10 });
    ask();
    expect(transcript(watching)).toEqual(["#1@2 created"]);
  });

  it("notifies idle watchers of progress at the interval", async () => {
    const harness = await createHarness({ limits: { watchProgressIntervalMs: 1_000 } });
    const watching = openWatch(harness);
    create(watching, "a", { progressNotify: true });
    create(watching, "a");
    harness.clock.nowMs += 900;
    await put(harness, "a", "1");
    await turn();
    transcript(watching);
    harness.clock.nowMs += 500;
    harness.services.tick();
    expect(transcript(watching)).toEqual([]);
    harness.clock.nowMs += 700;
    harness.services.tick();
    expect(transcript(watching)).toEqual(["#0@2"]);
  });

  it("does not notify lagging watchers of progress", async () => {
    const harness = await createHarness({ limits: { watchProgressIntervalMs: 1_000 } });
    await put(harness, "a", "1");
    const watching = openWatch(harness);
    create(watching, "a", { progressNotify: true, startRevision: 2 });
    harness.clock.nowMs += 2_000;
    harness.services.tick();
    expect(transcript(watching)).toEqual(["#0@2 created"]);
    await turn();
    expect(transcript(watching)).toEqual(["#0@2 a=1"]);
  });

  it("splits large batches only for watchers that permit it", async () => {
    const harness = await createHarness();
    for (const key of ["a1", "a2", "a3"]) await put(harness, key, "v".repeat(1_000_000));
    // One revision, which is one batch however large it is.
    await remove(harness, "a", "b");
    const watching = openWatch(harness);
    const range = { rangeEnd: text("b"), startRevision: 5, prevKv: true };
    create(watching, "a", { ...range, fragment: true });
    create(watching, "a", { ...range, fragment: false });
    await turn();
    await turn();
    expect(transcript(watching)).toEqual([
      "#0@5 created",
      "#1@5 created",
      "#0@5 fragment -a1(was 1000000 bytes) -a2(was 1000000 bytes)",
      "#0@5 -a3(was 1000000 bytes)",
      "#1@5 -a1(was 1000000 bytes) -a2(was 1000000 bytes) -a3(was 1000000 bytes)",
    ]);
  });

  it("keeps events for a client until it reads", async () => {
    const harness = await createHarness();
    const watching = openWatch(harness);
    create(watching, "a");
    watching.call.accepting = false;
    for (const value of ["1", "2", "3"]) {
      await put(harness, "a", value);
      await turn();
    }
    const whileBlocked = transcript(watching);
    watching.call.accepting = true;
    watching.handler.onDrain();
    await turn();
    await turn();
    expect([...whileBlocked, ...transcript(watching)].join(" | ").replaceAll(/#0@\d+ /g, "")).toBe(
      "created | a=1 | a=2 a=3",
    );
  });

  it("ends streams with `hasleader` after three election timeouts without leader, and no others", async () => {
    const harness = await createHarness();
    const withLeader = openWatch(harness, { hasleader: "true" });
    const without = openWatch(harness);
    harness.consensus.leader = null;
    harness.services.tick();
    harness.clock.nowMs += 2_999;
    harness.services.tick();
    expect(withLeader.call.status).toBeNull();
    harness.clock.nowMs += 1;
    harness.services.tick();
    expect(withLeader.call.status).toEqual({ code: EtcdErrors.noLeader.code, text: EtcdErrors.noLeader.text });
    expect(without.call.status).toBeNull();
    const late = openWatch(harness, { hasleader: "true" });
    expect(late.call.status?.text).toBe(EtcdErrors.noLeader.text);
  });

  it("delivers the content of a snapshot from the leader after the member was behind", async () => {
    const [behind, ahead] = [await createHarness(), await createHarness()];
    const watching = openWatch(behind);
    create(watching, "a");
    transcript(watching);
    await put(ahead, "a", "1");
    await behind.services.machine.store.importSnapshot(ahead.services.machine.store.exportSnapshot());
    behind.services.snapshotInstalled();
    await turn();
    await turn();
    expect(transcript(watching)).toEqual(["#0@2 a=1"]);
  });

  it("drops the watchers of a closed stream", async () => {
    const harness = await createHarness();
    const watching = openWatch(harness);
    create(watching, "a");
    expect(harness.services.watchHub.watcherCount).toBe(1);
    watching.handler.onHalfClose();
    watching.handler.onClose();
    expect([harness.services.watchHub.watcherCount, harness.services.watchService.streamCount]).toEqual([0, 0]);
  });
});
