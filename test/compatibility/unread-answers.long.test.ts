/** Clients that request much and read nothing: what that costs the member, and how it affects others. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { encodePutRequest } from "../../src/raft-agent/api/put.ts";
import { encodeRangeRequest, rangeRequest } from "../../src/raft-agent/api/range.ts";
import { limitMs } from "../time-limits.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";
import { residentMemory } from "./resident-memory.ts";
import { UnreadCalls } from "./unread-calls.ts";
import { writeWhile } from "./write-probe.ts";

const host = "127.77.34.9";
const mib = 1 << 20;
const rangePath = "/etcdserverpb.KV/Range";
const range = encodeRangeRequest(rangeRequest(Buffer.from("eight/"), { rangeEnd: Buffer.from("eight0") }));

describe("responses that are not read", () => {
  let cluster: ClusterProcesses;
  beforeAll(async () => {
    cluster = await startCluster("agent", host, { members: 1 });
    const client = connect({ endpoints: cluster.urls });
    const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    for (let at = 0; at < 8; at++) {
      const request = { key: Buffer.from(`eight/${at}`), value: Buffer.alloc(1_000_000, "v"), ...flags };
      await client.unary("/etcdserverpb.KV/Put", encodePutRequest(request));
    }
    await client.close();
  });
  afterAll(() => cluster?.stop());

  const crowds = [
    { title: "300 ranges of 8 MB on one connection", connections: 1, calls: 300, boundBytes: 16 * mib },
    { title: "one range of 8 MB on each of 200 connections", connections: 200, calls: 1, boundBytes: 1024 * mib },
  ];
  it.each(crowds)("A6: $title", { timeout: 120_000 }, async ({ connections, calls, boundBytes }) => {
    const pid = cluster.processId(0);
    const before = residentMemory(pid);
    const [, writes] = await writeWhile(cluster.urls[0]!, async () => {
      const crowd: UnreadCalls[] = [];
      for (let at = 0; at < connections; at++) crowd.push(await UnreadCalls.open(new URL(cluster.urls[0]!)));
      for (const client of crowd) client.call(rangePath, range, calls);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      for (const client of crowd) client.destroy();
    });
    const { peakBytes } = residentMemory(pid);
    expect(peakBytes - before.nowBytes).toBeLessThan(boundBytes + 128 * mib);
    expect(writes.p99Ms).toBeLessThan(limitMs(1_000));
  });
});
