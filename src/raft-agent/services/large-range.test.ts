import { describe, expect, it } from "vitest";
import { createHarness, type Harness } from "../../../test/support/single-member.ts";
import { encodeCompactionRequest } from "../api/compaction.ts";
import { decodeKeyValue } from "../api/key-value.ts";
import { encodePutRequest } from "../api/put.ts";
import {
  decodeRangeResponse,
  encodeRangeRequest,
  type RangeRequest,
  rangeRequest,
  SortOrder,
  SortTarget,
} from "../api/range.ts";
import type { ServerCall } from "../grpc/call.ts";
import { LargeRange } from "./large-range.ts";

const all: Partial<RangeRequest> = { rangeEnd: Buffer.from([0]) };
const keys = 400;

async function put(harness: Harness, key: string, bytes: number): Promise<void> {
  const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  await harness.unary(
    "/etcdserverpb.KV/Put",
    encodePutRequest({ key: Buffer.from(key), value: Buffer.alloc(bytes), ...flags }),
  );
}

/** 400 keys of 1 to 4 kB. */
async function filled(): Promise<Harness> {
  const harness = await createHarness();
  for (let at = 0; at < keys; at++) await put(harness, `k/${String(at).padStart(4, "0")}`, 1_000 * (1 + (at % 4)));
  return harness;
}

/** The source after the first keys were read, and the state of its call. */
function begin(
  harness: Harness,
  options: Partial<RangeRequest>,
): { source: LargeRange; call: ServerCall; text(): string } {
  const request = rangeRequest(Buffer.from("k/"), options);
  const cursor = harness.services.machine.store.openRange(request);
  let text = "";
  const call: ServerCall = {
    path: "/etcdserverpb.KV/Range",
    header: () => undefined,
    clientCommonName: undefined,
    remoteAddress: "127.77.15.1:1",
    open: true,
    send: () => true,
    finish: (_code, reason = "") => {
      text = reason;
    },
  };
  const opened = { cursor, first: cursor.read(10_000) };
  return { source: new LargeRange(harness.services.context, call, request, opened), call, text: () => text };
}

function rest(source: LargeRange): Buffer {
  let parts: Uint8Array[] = [];
  for (let part = source.next(); part !== null; part = source.next()) {
    if (part === "again") parts = [];
    else parts.push(part);
  }
  return Buffer.concat(parts);
}

describe("a large range", () => {
  const requests: readonly (readonly [string, Partial<RangeRequest>])[] = [
    ["whole", all],
    ["with a limit", { ...all, limit: 300 }],
    ["without values", { ...all, keysOnly: true }],
    ["in descending order of versions", { ...all, sortOrder: SortOrder.descend, sortTarget: SortTarget.mod }],
    ["at a past revision", { ...all, revision: 350 }],
  ];
  it.each(requests)("A6: is the same response in parts as in one piece: %s", async (_title, options) => {
    const harness = await filled();
    const { source } = begin(harness, options);
    const expectedBytes = source.expectedBytes();
    const call = await harness.unary(
      "/etcdserverpb.KV/Range",
      encodeRangeRequest(rangeRequest(Buffer.from("k/"), options)),
    );
    // Not `toEqual`: it would print a megabyte.
    expect(rest(source).equals(call.messages[0]!)).toBe(true);
    // Estimated from the first keys alone.
    expect(expectedBytes / call.messages[0]!.length).toBeGreaterThan(0.5);
    expect(expectedBytes / call.messages[0]!.length).toBeLessThan(2);
  });

  it("A6: stays at its revision during writes, and its header has that one", async () => {
    const harness = await filled();
    const { source } = begin(harness, all);
    const parts = [source.next() as Uint8Array];
    await put(harness, "k/0399", 9_000);
    await put(harness, "k/9999", 9_000);
    for (let part = source.next(); part !== null; part = source.next()) parts.push(part as Uint8Array);
    const { header, kvs, count } = decodeRangeResponse(Buffer.concat(parts));
    expect([header?.revision, kvs.length, count]).toEqual([keys + 1, keys, keys]);
    expect(decodeKeyValue(kvs.at(-1)!).value.length).toBe(4_000);
    expect(parts.length).toBeGreaterThan(2);
  });

  it("A6: starts over at the latest revision when the unread rest is compacted", async () => {
    const harness = await filled();
    const { source } = begin(harness, all);
    source.next();
    await put(harness, "k/0399", 9_000);
    await harness.unary("/etcdserverpb.KV/Compact", encodeCompactionRequest({ revision: keys + 2, physical: true }));
    expect(source.next()).toBe("again");
    const { header, kvs } = decodeRangeResponse(rest(source));
    expect([header?.revision, kvs.length]).toEqual([keys + 2, keys]);
    expect(decodeKeyValue(kvs.at(-1)!).value.length).toBe(9_000);
  });

  it("A6: ends as compacted when the requested revision is", async () => {
    const harness = await filled();
    const { source, text } = begin(harness, { ...all, revision: 300 });
    source.next();
    await harness.unary("/etcdserverpb.KV/Compact", encodeCompactionRequest({ revision: keys, physical: true }));
    expect([source.next(), text()]).toEqual([null, "etcdserver: mvcc: required revision has been compacted"]);
  });

  it("A6: continues across a compaction that leaves its revision readable", async () => {
    const harness = await filled();
    const { source } = begin(harness, all);
    source.next();
    await harness.unary("/etcdserverpb.KV/Compact", encodeCompactionRequest({ revision: keys, physical: true }));
    expect(source.next()).toBeInstanceOf(Uint8Array);
  });
});
