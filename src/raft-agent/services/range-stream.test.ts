import { describe, expect, it } from "vitest";
import { createHarness, type Harness, type RecordedCall } from "../../../test/support/single-member.ts";
import { decodeKeyValue } from "../api/key-value.ts";
import { encodePutRequest } from "../api/put.ts";
import {
  decodeRangeResponse,
  encodeRangeRequest,
  type RangeRequest,
  type RangeResponse,
  rangeRequest,
  SortOrder,
  SortTarget,
} from "../api/range.ts";
import { StatusCode } from "../api/status-code.ts";
import { WireReader } from "../api/wire.ts";

const all: Partial<RangeRequest> = { rangeEnd: Buffer.from([0]) };
const emptyValue = new Uint8Array(0);
const keyAt = (at: number): Buffer => Buffer.from(`k/${String(at).padStart(4, "0")}`);

async function filled(count: number, valueBytes = 10): Promise<Harness> {
  const harness = await createHarness();
  for (let at = 0; at < count; at++) {
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    const request = { key: keyAt(at), value: Buffer.alloc(valueBytes), lease: 0n, ...flags };
    await harness.unary("/etcdserverpb.KV/Put", encodePutRequest(request));
  }
  return harness;
}

async function ask(harness: Harness, options: Partial<RangeRequest>): Promise<RecordedCall> {
  const { call, handler } = harness.stream("/etcdserverpb.KV/RangeStream");
  handler.onMessage(encodeRangeRequest(rangeRequest(Buffer.from("k/"), options)));
  for (let turn = 0; turn < 2_000 && call.status === null; turn++) await new Promise((next) => setImmediate(next));
  return call;
}

function pieces(call: RecordedCall): RangeResponse[] {
  return call.messages.map((message) => {
    const reader = new WireReader(message);
    expect(reader.tag()).toBe(0x0a);
    return decodeRangeResponse(reader.view());
  });
}

describe("RangeStream", () => {
  it("streams the pieces of one range, with header and count in the last one", async () => {
    const harness = await filled(100);
    const call = await ask(harness, all);
    const parts = pieces(call);
    expect(call.status?.code).toBe(StatusCode.ok);
    expect(parts.length).toBeGreaterThan(1);
    expect(parts[0]!.kvs.length).toBe(10);
    expect(parts.flatMap(({ kvs }) => kvs).map((kv) => Buffer.from(decodeKeyValue(kv).key))).toEqual(
      Array.from({ length: 100 }, (_, at) => keyAt(at)),
    );
    expect(parts.map(({ count }) => count)).toEqual([...Array(parts.length - 1).fill(0), 100]);
    expect(parts.map(({ header }) => header?.revision)).toEqual([...Array(parts.length - 1).fill(undefined), 101]);
  });

  it("respects the limit and reports that there is more", async () => {
    const parts = pieces(await ask(await filled(40), { ...all, limit: 25 }));
    expect(parts.flatMap(({ kvs }) => kvs).length).toBe(25);
    expect(parts.at(-1)).toMatchObject({ more: true, count: 40 });
  });

  it("keeps pieces near the size of a request", async () => {
    const parts = pieces(await ask(await filled(60, 200_000), all));
    expect(parts.flatMap(({ kvs }) => kvs).length).toBe(60);
    for (const { kvs } of parts.slice(1)) expect(kvs.length * 200_000).toBeLessThan(2 * 1_572_864);
  });

  it("A17: stays at its initial revision during writes, and its header has that one", async () => {
    const harness = await filled(50);
    const { call, handler } = harness.stream("/etcdserverpb.KV/RangeStream");
    call.accepting = false;
    handler.onMessage(encodeRangeRequest(rangeRequest(Buffer.from("k/"), { ...all, serializable: true })));
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    const late = { key: Buffer.from("k/0049x"), value: Buffer.alloc(1), lease: 0n, ...flags };
    await harness.unary("/etcdserverpb.KV/Put", encodePutRequest(late));
    call.accepting = true;
    handler.onDrain();
    for (let turn = 0; turn < 100 && call.status === null; turn++) await new Promise((next) => setImmediate(next));
    expect(pieces(call).flatMap(({ kvs }) => kvs).length).toBe(50);
    expect(pieces(call).at(-1)).toMatchObject({ count: 50, header: { revision: 51 } });
  });

  it("A17: has a header as old as its data for every piece with writes in between", async () => {
    const harness = await filled(60);
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    const { call, handler } = harness.stream("/etcdserverpb.KV/RangeStream");
    call.accepting = false;
    handler.onMessage(encodeRangeRequest(rangeRequest(Buffer.from("k/"), { ...all, serializable: true })));
    for (let piece = 0; piece < 20 && call.status === null; piece++) {
      await harness.unary(
        "/etcdserverpb.KV/Put",
        encodePutRequest({ key: keyAt(piece), value: emptyValue, lease: 0n, ...flags }),
      );
      handler.onDrain();
    }
    const parts = pieces(call);
    expect(parts.length).toBeGreaterThan(2);
    const newest = Math.max(...parts.flatMap(({ kvs }) => kvs.map((kv) => decodeKeyValue(kv).modRevision)));
    expect([newest, parts.at(-1)?.header?.revision]).toEqual([61, 61]);
  });

  it("A17: has the latest revision as of the first piece in the header of a past read", async () => {
    const harness = await filled(30);
    const parts = pieces(await ask(harness, { ...all, revision: 21 }));
    expect(parts.flatMap(({ kvs }) => kvs).length).toBe(20);
    expect(parts.at(-1)?.header?.revision).toBe(31);
  });

  const orders = [
    [SortTarget.value, SortOrder.none],
    [SortTarget.mod, SortOrder.none],
    [SortTarget.create, SortOrder.none],
    [SortTarget.version, SortOrder.none],
    [SortTarget.key, SortOrder.ascend],
  ] as const;
  it.each(orders)("A14: streams each key once for sort target %i with order %i", async (sortTarget, sortOrder) => {
    const harness = await filled(45);
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    // The newest value is that of the first key: an order by revision is not key order.
    for (let at = 44; at >= 0; at--)
      await harness.unary(
        "/etcdserverpb.KV/Put",
        encodePutRequest({ key: keyAt(at), value: keyAt(99 - at), lease: 0n, ...flags }),
      );
    const call = await ask(harness, { ...all, sortTarget, sortOrder });
    expect(call.status).toEqual({ code: StatusCode.ok, text: "" });
    const keys = pieces(call).flatMap(({ kvs }) => kvs.map((kv) => Buffer.from(decodeKeyValue(kv).key)));
    expect(keys).toEqual(Array.from({ length: 45 }, (_, at) => keyAt(at)));
  });

  it("returns a count in one message, and rejects ranges that it cannot split", async () => {
    const harness = await filled(12);
    expect(pieces(await ask(harness, { ...all, countOnly: true }))).toMatchObject([
      { kvs: [], count: 12, more: false },
    ]);
    expect((await ask(harness, { ...all, sortOrder: SortOrder.descend })).status).toEqual({
      code: StatusCode.unimplemented,
      text: "RangeStream does not support custom sort orders",
    });
    expect((await ask(harness, { ...all, minModRevision: 3 })).status).toEqual({
      code: StatusCode.unimplemented,
      text: "RangeStream does not support revision filters",
    });
    expect((await ask(harness, { ...all, revision: 999 })).status?.code).toBe(StatusCode.outOfRange);
  });
});
