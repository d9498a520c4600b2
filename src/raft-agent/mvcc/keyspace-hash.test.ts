/** Compares HashKV with a real etcd that received the same writes. */
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EtcdFixture, etcdInstalled, startEtcd } from "../../../test/support/etcd-process.ts";
import { crc32c } from "../../base/crc32c.ts";
import { createRandom } from "../../base/random.ts";
import { MemoryBackend } from "./backend/backend.fake.ts";
import { openStore } from "./mvcc-store.ts";
import type { Store, StoreEvent } from "./store.ts";

const etcdctlInstalled = spawnSync("etcdctl", ["version"]).status === 0;

it("computes the check value of CRC-32C (RFC 3720, B.4)", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

describe.skipIf(!etcdInstalled || !etcdctlInstalled)(
  "HashKV beside a real etcd (skipped where etcd and etcdctl are not installed)",
  () => {
    let etcd: EtcdFixture;
    beforeAll(async () => {
      etcd = await startEtcd("127.77.14.1");
    });
    afterAll(() => etcd?.stop());

    const call = async (path: string, body: object): Promise<void> => {
      const response = await fetch(`${etcd.url}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    };
    const hashOf = async (revision: number): Promise<{ hash: number; compactRevision: number }> => {
      const args = ["--endpoints", etcd.url, "endpoint", "hashkv", "--rev", String(revision), "-w", "json"];
      const { stdout } = await promisify(execFile)("etcdctl", args, { env: { ...process.env, ETCDCTL_API: "3" } });
      const [{ HashKV }] = JSON.parse(stdout);
      return { hash: HashKV.hash ?? 0, compactRevision: HashKV.compact_revision ?? 0 };
    };

    it("agrees at every revision, before and after compactions", async () => {
      const store = await openStore({ backend: new MemoryBackend() });
      const random = createRandom(14);
      const base64 = (text: string): string => Buffer.from(text).toString("base64");
      await call("lease/grant", { TTL: 3600, ID: 77 });
      const write = async (): Promise<void> => {
        const txn = store.beginWrite();
        const operations: object[] = [];
        const key = `key/${random.below(12)}`;
        if (random.below(5) === 0) {
          txn.deleteRange(Buffer.from(key), Buffer.from("key/5"));
          operations.push({ requestDeleteRange: { key: base64(key), range_end: base64("key/5") } });
        } else {
          for (const one of random.below(3) === 0 ? [key, `${key}+`] : [key]) {
            const value = "v".repeat(random.below(200));
            const lease = random.below(4) === 0 ? 77n : 0n;
            txn.put(Buffer.from(one), Buffer.from(value), lease);
            operations.push({ requestPut: { key: base64(one), value: base64(value), lease: lease.toString() } });
          }
        }
        txn.end();
        await call("kv/txn", { success: operations });
      };
      const agree = async (revision: number): Promise<void> => {
        const { hash, compactRevision } = await store.hashKv(revision);
        expect({ hash, compactRevision }, `at revision ${revision}`).toEqual(await hashOf(revision));
      };
      await agree(0);
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 40; i++) await write();
        await agree(0);
        await agree(store.revision - 7);
        // Tombstones first: an etcd 3.4 drops what later ones keep and do not hash.
        const wanted = round === 0 ? "delete" : "put";
        let revision = store.revision - 10;
        while (lastChange(store, revision) !== wanted) revision--;
        await Promise.all([store.compact(revision), call("kv/compaction", { revision, physical: true })]);
        await agree(0);
        await agree(revision + 4);
      }
      await store.close();
    });
  },
);

function lastChange(store: Store, revision: number): StoreEvent["kind"] | null {
  let kind: StoreEvent["kind"] | null = null;
  store.history(revision, revision, (event) => {
    kind = event.kind;
    return true;
  });
  return kind;
}

it("matches the hashes of etcd 3.6 after compactions at tombstones, with and without keys", async () => {
  const store = await openStore({ backend: new MemoryBackend() });
  const put = (key: string, value = ""): void => {
    const txn = store.beginWrite();
    txn.put(Buffer.from(key), Buffer.from(value), 0n);
    txn.end();
  };
  const remove = (key: string): void => {
    const txn = store.beginWrite();
    txn.deleteRange(Buffer.from(key), Buffer.alloc(0));
    txn.end();
  };
  const hashes: (readonly [compacted: number, revision: number, hash: number])[] = [];
  const look = async (revision: number): Promise<void> => {
    const { compactRevision, hash } = await store.hashKv(revision);
    hashes.push([compactRevision, revision, hash]);
  };
  for (let times = 0; times < 3; times++) put("a", "a");
  await store.compact(2);
  await look(3);
  remove("a");
  put("b");
  await store.compact(5);
  await look(6);
  remove("b");
  await look(7);
  await store.compact(7);
  await look(7);
  put("c");
  await look(8);
  await store.close();
  // Observed on etcd 3.6.14; that of revision 7 as compacted is the one of an empty keyspace.
  expect(hashes).toEqual([
    [2, 3, 438_025_104],
    [5, 6, 2_083_530_349],
    [5, 7, 3_555_058_278],
    [7, 7, 1_084_519_789],
    [7, 8, 3_959_116_610],
  ]);
});

it("returns the hash of the previous release to members where no key is left", async () => {
  const store = await openStore({ backend: new MemoryBackend() });
  const change = (act: (txn: ReturnType<Store["beginWrite"]>) => void): void => {
    const txn = store.beginWrite();
    act(txn);
    txn.end();
  };
  change((txn) => txn.put(Buffer.from("a"), Buffer.from("a"), 0n));
  change((txn) => txn.deleteRange(Buffer.from("a"), Buffer.alloc(0)));
  const { revision } = store;
  await store.compact(revision);
  // For an empty keyspace etcd hashes only the bucket's name; haplan-agent used to hash the tombstone, too.
  expect((await store.hashKv(revision)).hash).toBe(1084519789);
  expect((await store.hashKv(revision, "members")).hash).not.toBe(1084519789);
  change((txn) => txn.put(Buffer.from("b"), Buffer.from("b"), 0n));
  expect(await store.hashKv(store.revision, "members")).toEqual(await store.hashKv(store.revision));
  await store.close();
});
