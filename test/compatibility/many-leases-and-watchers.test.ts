/**
 * Crowds: ten thousand leases with fifty thousand keys end on time, what is left of a lease outlives its leader, two
 * thousand watchers hear everything, and one that does not read costs the others nothing. Runs with
 * HAPLAN_TEST_EVERYTHING; the figures are printed.
 */
import { connect as connectHttp2 } from "node:http2";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type GrpcClient } from "../../src/etcd-client/grpc-client.ts";
import {
  LeaseGrantRequestSchema,
  LeaseTimeToLiveRequestSchema,
  LeaseTimeToLiveResponseSchema,
  PutRequestSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  StatusRequestSchema,
  StatusResponseSchema,
  TxnRequestSchema,
  WatchRequestSchema,
  WatchResponseSchema,
} from "../../src/raft-agent/api/gen/etcdserverpb/rpc_pb.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";

const HOST = "127.77.35.4";
const LEASES = 10_000;
const KEYS_PER_LEASE = 5;
const TTL_SECONDS = 60;
const WATCHERS = 2_000;

function encode<Schema extends DescMessage>(schema: Schema, init: MessageInitShape<Schema>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

async function call<Reply extends DescMessage>(
  client: GrpcClient,
  method: string,
  request: Uint8Array,
  reply: Reply,
): Promise<MessageShape<Reply>> {
  return fromBinary(reply, await client.unary(`/etcdserverpb.${method}`, request, { timeoutMs: 20_000 }));
}

/** Runs `work` for 0..count-1, `width` at a time. */
async function inParallel(count: number, width: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

const bytes = (text: string): Buffer => Buffer.from(text);
const watchFrom = (key: string, end: string): Uint8Array =>
  encode(WatchRequestSchema, {
    requestUnion: { case: "createRequest", value: { key: bytes(key), rangeEnd: bytes(end) } },
  });
const quantile = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? 0;

async function residentBytes(url: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text();
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(page)?.[1]);
}

const isWanted = process.env["HAPLAN_TEST_EVERYTHING"] !== undefined;

describe.skipIf(!isWanted)("crowds at three members", () => {
  let cluster: ClusterProcesses;
  let clients: GrpcClient[];
  const leaderAt = async (): Promise<number> => {
    for (;;) {
      for (const [at, client] of clients.entries()) {
        const request = encode(StatusRequestSchema, {});
        const status = await call(client, "Maintenance/Status", request, StatusResponseSchema).catch(() => null);
        if (status !== null && status.leader !== 0n && status.leader === status.header?.memberId) return at;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const count = async (client: GrpcClient, key: string, end: string): Promise<bigint> => {
    const request = encode(RangeRequestSchema, { key: bytes(key), rangeEnd: bytes(end), countOnly: true });
    return (await call(client, "KV/Range", request, RangeResponseSchema)).count;
  };
  beforeAll(async () => {
    cluster = await startCluster("agent", HOST, { members: 3 });
    clients = cluster.urls.map((url) => connect({ endpoints: [url] }));
  });
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await cluster.stop();
  });

  it("end ten thousand leases with fifty thousand keys on time", { timeout: 180_000 }, async () => {
    const client = clients[0]!;
    const watch = await clients[1]!.stream("/etcdserverpb.Watch/Watch");
    await watch.send(watchFrom("lease/", "lease0"));
    const grantedMs: number[] = [];
    await inParallel(LEASES, 200, async (at) => {
      await client.unary(
        "/etcdserverpb.Lease/LeaseGrant",
        encode(LeaseGrantRequestSchema, { ID: BigInt(at + 1), TTL: BigInt(TTL_SECONDS) }),
      );
      grantedMs[at] = Date.now();
      const puts = Array.from({ length: KEYS_PER_LEASE }, (_, key) => ({
        request: { case: "requestPut" as const, value: { key: bytes(`lease/${at}/${key}`), lease: BigInt(at + 1) } },
      }));
      await client.unary("/etcdserverpb.KV/Txn", encode(TxnRequestSchema, { success: puts }));
    });
    expect(await count(client, "lease/", "lease0")).toBe(BigInt(LEASES * KEYS_PER_LEASE));
    const lateMs: number[] = [];
    for await (const message of watch) {
      for (const { type, kv } of fromBinary(WatchResponseSchema, message).events) {
        const [, at, key] = Buffer.from(kv!.key).toString().split("/");
        if (type === 1 && key === "0") lateMs.push(Date.now() - grantedMs[Number(at)]! - TTL_SECONDS * 1_000);
      }
      if (lateMs.length === LEASES) break;
    }
    expect(await count(client, "lease/", "lease0")).toBe(0n);
    const [median, p99] = [quantile(lateMs, 0.5), quantile(lateMs, 0.99)];
    console.log(`${LEASES} leases ended ${median} ms (median), ${p99} ms (p99), ${Math.max(...lateMs)} ms (last) late`);
    // The answer to a grant reaches the client later than the lease begins.
    expect(Math.min(...lateMs)).toBeGreaterThan(-5_000);
  });

  it("leave a lease what is left of it when its leader is killed", { timeout: 90_000 }, async () => {
    const ttlSeconds = 40;
    const leader = await leaderAt();
    const other = clients[(leader + 1) % 3]!;
    await other.unary("/etcdserverpb.Lease/LeaseGrant", encode(LeaseGrantRequestSchema, { ID: 777n, TTL: 40n }));
    await new Promise((resolve) => setTimeout(resolve, 32_000));
    await cluster.kill(leader);
    const request = encode(LeaseTimeToLiveRequestSchema, { ID: 777n });
    const left = await call(other, "Lease/LeaseTimeToLive", request, LeaseTimeToLiveResponseSchema);
    console.log(`of ${ttlSeconds} s, 8 s were left at the old leader and ${left.TTL} s at the new one`);
    expect(Number(left.TTL)).toBeGreaterThanOrEqual(5);
    expect(Number(left.TTL)).toBeLessThanOrEqual(20);
    await cluster.restart(leader);
  });
});

describe.skipIf(!isWanted)("two thousand watchers of a member", () => {
  let member: ClusterProcesses;
  let writer: GrpcClient;
  let url: string;
  beforeAll(async () => {
    member = await startCluster("agent", HOST, { members: 1 });
    url = member.urls[0]!;
    writer = connect({ endpoints: [url] });
  });
  afterAll(async () => {
    await writer.close();
    await member.stop();
  });

  it("hear everything, and are not held up by one that does not read", { timeout: 180_000 }, async () => {
    const watch = await writer.stream("/etcdserverpb.Watch/Watch");
    for (let at = 0; at < WATCHERS; at++) await watch.send(watchFrom("crowd/", "crowd0"));
    const messages = watch[Symbol.asyncIterator]();
    for (let created = 0; created < WATCHERS; created++) await messages.next();
    const value = bytes("x".repeat(100_000));
    const writeTenMegabytes = (): Promise<void> =>
      inParallel(100, 8, (at) =>
        writer.unary("/etcdserverpb.KV/Put", encode(PutRequestSchema, { key: bytes(`crowd0/${at % 10}`), value })),
      );
    // The log's part in memory is full before anything is measured.
    for (let round = 0; round < 20; round++) await writeTenMegabytes();
    const before = await residentBytes(url);
    // Its window is 64 KiB, and it never reads.
    const session = connectHttp2(url);
    const sleeper = session.request({
      ":method": "POST",
      ":path": "/etcdserverpb.Watch/Watch",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const request = watchFrom("crowd/", "crowd1");
    sleeper.write(Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]));
    sleeper.pause();
    let heard = 0;
    const lags: number[] = [];
    for (let round = 0; round < 20; round++) {
      await writer.unary("/etcdserverpb.KV/Put", encode(PutRequestSchema, { key: bytes("crowd/tick") }));
      const sentMs = performance.now();
      for (let missing = WATCHERS; missing > 0; ) {
        const next = await messages.next();
        const { events } = fromBinary(WatchResponseSchema, next.value!);
        missing -= events.length;
        heard += events.length;
      }
      lags.push(performance.now() - sentMs);
      // Only the sleeper watches these: 200 MB in all.
      await writeTenMegabytes();
    }
    const grown = (await residentBytes(url)) - before;
    console.log(
      `${WATCHERS} watchers heard a put within ${Math.round(quantile(lags, 0.5))} ms (median), ${Math.round(Math.max(...lags))} ms (most); the member grew by ${Math.round(grown / 1e6)} MB while 200 MB waited for the sleeper`,
    );
    expect(heard).toBe(20 * WATCHERS);
    session.destroy();
    watch.cancel();
  });
});
