/** Against a real etcd, when one is installed: the client must speak what etcd speaks. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CompareResult, CompareTarget } from "../raft-agent/api/compare.ts";
import { decodeKeyValue, EventType } from "../raft-agent/api/key-value.ts";
import { rangeRequest } from "../raft-agent/api/range.ts";
import { StatusCode } from "../raft-agent/grpc/call.ts";
import { EtcdClient, prefixEnd } from "./etcd-client.ts";
import { memberList, memberStatus, snapshot } from "./etcd-cluster.ts";
import { connect, type GrpcClient } from "./grpc-client.ts";

const host = "127.77.13.8";
const hasEtcd = spawnSync("etcd", ["--version"]).status === 0;

describe("prefix end", () => {
  it("is the first key behind all keys with the prefix", () => {
    expect(prefixEnd("a/")).toEqual(new Uint8Array(Buffer.from("a0")));
    expect(prefixEnd(Uint8Array.of(1, 0xff, 0xff))).toEqual(Uint8Array.of(2));
    expect(prefixEnd("")).toEqual(Uint8Array.of(0));
  });
});

describe.skipIf(!hasEtcd)("etcd client with a real etcd", () => {
  let folder: string;
  let process_: ChildProcess;
  let grpc: GrpcClient;
  let etcd: EtcdClient;
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "haplan-etcd-client-"));
    const urls = [`http://${host}:23790`, `http://${host}:23800`];
    process_ = spawn(
      "etcd",
      [
        `--data-dir=${join(folder, "data")}`,
        `--listen-client-urls=${urls[0]}`,
        `--advertise-client-urls=${urls[0]}`,
        `--listen-peer-urls=${urls[1]}`,
        `--initial-advertise-peer-urls=${urls[1]}`,
        `--initial-cluster=default=${urls[1]}`,
      ],
      { stdio: "ignore" },
    );
    grpc = connect({ endpoints: [urls[0]!] });
    etcd = new EtcdClient(grpc);
    await vi.waitFor(() => etcd.range("x"), { timeout: 20_000, interval: 100 });
  });
  afterAll(async () => {
    await grpc.close();
    const gone = new Promise((resolve) => process_.once("exit", resolve));
    process_.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
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
    const members = await memberList(grpc);
    const status = await memberStatus(grpc);
    expect(members.map((member) => member.ID)).toEqual([status.leader]);
    const pieces: Uint8Array[] = [];
    for await (const piece of snapshot(grpc)) pieces.push(piece);
    const whole = Buffer.concat(pieces);
    const digest = createHash("sha256").update(whole.subarray(0, -32)).digest();
    expect(whole.subarray(-32).equals(digest)).toBe(true);
  });
});
