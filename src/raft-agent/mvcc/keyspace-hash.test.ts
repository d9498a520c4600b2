/** HashKV compared with a real etcd that was given the same writes. */
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crc32c } from "../../base/crc32c.ts";
import { createRandom } from "../../base/random.ts";
import { type EtcdFixture, etcdInstalled, startEtcd } from "../../etcd-client/etcd-fixture.ts";
import { MemoryBackend } from "./memory-backend.ts";
import { openStore } from "./mvcc-store.ts";

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

    it("agrees at every revision asked for, before and after compactions", async () => {
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
        // A put's revision: at a tombstone's, etcd before 3.4.34 keeps less than we do.
        let revision = store.revision - 10;
        while (!lastChangeIsPut(store, revision)) revision--;
        await Promise.all([store.compact(revision), call("kv/compaction", { revision, physical: true })]);
        await agree(0);
        await agree(revision + 4);
      }
      await store.close();
    });
  },
);

function lastChangeIsPut(store: Awaited<ReturnType<typeof openStore>>, revision: number): boolean {
  let put = false;
  store.history(revision, revision, (event) => {
    put = event.kind === "put";
    return true;
  });
  return put;
}
