import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EtcdFixture, etcdInstalled, startEtcd } from "../../test/support/etcd-process.ts";
import { CompareResult, CompareTarget } from "../raft-agent/api/compare.ts";
import { decodeKeyValue, EventType } from "../raft-agent/api/key-value.ts";
import { rangeRequest } from "../raft-agent/api/range.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { EtcdClient, prefixEnd } from "./etcd-client.ts";
import { connect, type GrpcClient } from "./grpc-client.ts";

describe("prefix end", () => {
  it("is the first key behind all keys with the prefix", () => {
    expect(prefixEnd("a/")).toEqual(new Uint8Array(Buffer.from("a0")));
    expect(prefixEnd(Uint8Array.of(1, 0xff, 0xff))).toEqual(Uint8Array.of(2));
    expect(prefixEnd("")).toEqual(Uint8Array.of(0));
  });
});

describe.skipIf(!etcdInstalled)("etcd client with a real etcd", () => {
  let fixture: EtcdFixture;
  let grpc: GrpcClient;
  let etcd: EtcdClient;
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

  beforeAll(async () => {
    fixture = await startEtcd("127.77.13.8");
    grpc = connect({ endpoints: [fixture.url] });
    etcd = new EtcdClient(grpc);
  });
  afterAll(async () => {
    await grpc.close();
    await fixture.stop();
  });

  it("puts, reads, deletes and tells what was", async () => {
    const first = await etcd.put("a/1", "one");
    const again = await etcd.put("a/1", "uno", { prevKv: true });
    expect(again.header?.revision).toBe((first.header?.revision ?? 0) + 1);
    expect(text(decodeKeyValue(again.prevKv!).value)).toBe("one");
    await etcd.put("a/2", "two");
    const range = await etcd.range("a/", { rangeEnd: prefixEnd("a/") });
    expect(range.kvs.map((kv) => text(decodeKeyValue(kv).value))).toEqual(["uno", "two"]);
    expect((await etcd.deleteRange("a/", prefixEnd("a/"))).deleted).toBe(2);
  });

  it("decides in a transaction", async () => {
    const absent = { result: CompareResult.equal, target: CompareTarget.create, rangeEnd: new Uint8Array() };
    const operand = { kind: "createRevision", number: 0 } as const;
    const key = Buffer.from("lock");
    const put = { key, value: Buffer.from("me"), lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
    const request = {
      compare: [{ ...absent, key, operand }],
      success: [{ kind: "put", request: put } as const],
      failure: [{ kind: "range", request: rangeRequest(key) } as const],
    };
    expect((await etcd.txn(request)).succeeded).toBe(true);
    const second = await etcd.txn(request);
    expect(second.succeeded).toBe(false);
    expect(second.responses[0]?.kind).toBe("range");
  });

  it("watches from a revision on, and reports compaction", async () => {
    const start = (await etcd.put("w", "1")).header!.revision;
    await etcd.put("w", "2");
    await etcd.deleteRange("w");
    const seen: string[] = [];
    for await (const response of etcd.watch("w", { startRevision: start })) {
      for (const event of response.events)
        seen.push(event.type === EventType.delete ? "deleted" : text(decodeKeyValue(event.kv!).value));
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(["1", "2", "deleted"]);
    await etcd.compact(start + 2);
    const compacted = etcd.watch("w", { startRevision: start });
    const reading = (async () => {
      for await (const response of compacted) expect(response.events).toEqual([]);
    })();
    await expect(reading).rejects.toMatchObject({ code: StatusCode.outOfRange });
    await expect(etcd.range("w", { revision: start })).rejects.toMatchObject({
      code: StatusCode.outOfRange,
      message: "etcdserver: mvcc: required revision has been compacted",
    });
  });

  it("grants, renews and revokes leases", async () => {
    const { ID: id } = await etcd.leaseGrant(60);
    await etcd.put("leased", "x", { lease: id });
    expect(Number((await etcd.leaseKeepAlive(id)).ttl)).toBe(60);
    await etcd.leaseRevoke(id);
    expect((await etcd.range("leased")).count).toBe(0);
    expect(Number((await etcd.leaseKeepAlive(id)).ttl)).toBe(0);
  });

  it("asks for members, status and a whole snapshot", async () => {
    const { members } = await etcd.cluster.memberList();
    const status = await etcd.maintenance.status();
    expect(members.map((member) => member.id)).toEqual([status.leader]);
    const pieces: Uint8Array[] = [];
    for await (const piece of etcd.maintenance.snapshot()) pieces.push(piece);
    const whole = Buffer.concat(pieces);
    const digest = createHash("sha256").update(whole.subarray(0, -32)).digest();
    expect(whole.subarray(-32).equals(digest)).toBe(true);
  });
});
