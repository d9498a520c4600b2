import { describe, expect, it } from "vitest";
import { decodeKeyValue } from "../api/key-value.ts";
import { encodePutRequest } from "../api/put.ts";
import {
  decodeRangeResponse,
  encodeRangeRequest,
  type RangeRequest,
  type RangeResponse,
  rangeRequest,
  SortOrder,
} from "../api/range.ts";
import { WireReader } from "../api/wire.ts";
import { StatusCode } from "../grpc/call.ts";
import { createWorld, type RecordedCall, type World } from "./single-member-world.ts";

const ALL: Partial<RangeRequest> = { rangeEnd: Buffer.from([0]) };
const keyAt = (at: number): Buffer => Buffer.from(`k/${String(at).padStart(4, "0")}`);

async function filled(count: number, valueBytes = 10): Promise<World> {
  const world = await createWorld();
  for (let at = 0; at < count; at++) {
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    const request = { key: keyAt(at), value: Buffer.alloc(valueBytes), lease: 0n, ...flags };
    await world.unary("/etcdserverpb.KV/Put", encodePutRequest(request));
  }
  return world;
}

async function ask(world: World, options: Partial<RangeRequest>): Promise<RecordedCall> {
  const { call, handler } = world.stream("/etcdserverpb.KV/RangeStream");
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
  it("brings the pieces of one range, with header and count in the last one", async () => {
    const world = await filled(100);
    const call = await ask(world, ALL);
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

  it("keeps to the limit and says that there is more", async () => {
    const parts = pieces(await ask(await filled(40), { ...ALL, limit: 25 }));
    expect(parts.flatMap(({ kvs }) => kvs).length).toBe(25);
    expect(parts.at(-1)).toMatchObject({ more: true, count: 40 });
  });

  it("keeps pieces near the size of a request", async () => {
    const parts = pieces(await ask(await filled(60, 200_000), ALL));
    expect(parts.flatMap(({ kvs }) => kvs).length).toBe(60);
    for (const { kvs } of parts.slice(1)) expect(kvs.length * 200_000).toBeLessThan(2 * 1_572_864);
  });

  it("stays at the revision at which it began while others write", async () => {
    const world = await filled(50);
    const { call, handler } = world.stream("/etcdserverpb.KV/RangeStream");
    call.accepting = false;
    handler.onMessage(encodeRangeRequest(rangeRequest(Buffer.from("k/"), { ...ALL, serializable: true })));
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    const late = { key: Buffer.from("k/0049x"), value: Buffer.alloc(1), lease: 0n, ...flags };
    await world.unary("/etcdserverpb.KV/Put", encodePutRequest(late));
    call.accepting = true;
    handler.onDrain();
    for (let turn = 0; turn < 100 && call.status === null; turn++) await new Promise((next) => setImmediate(next));
    expect(pieces(call).flatMap(({ kvs }) => kvs).length).toBe(50);
    expect(pieces(call).at(-1)).toMatchObject({ count: 50, header: { revision: 52 } });
  });

  it("answers a count in one message, and refuses what it cannot cut", async () => {
    const world = await filled(12);
    expect(pieces(await ask(world, { ...ALL, countOnly: true }))).toMatchObject([{ kvs: [], count: 12, more: false }]);
    expect((await ask(world, { ...ALL, sortOrder: SortOrder.descend })).status?.code).toBe(StatusCode.unimplemented);
    expect((await ask(world, { ...ALL, minModRevision: 3 })).status?.code).toBe(StatusCode.unimplemented);
    expect((await ask(world, { ...ALL, revision: 999 })).status?.code).toBe(StatusCode.outOfRange);
  });
});
