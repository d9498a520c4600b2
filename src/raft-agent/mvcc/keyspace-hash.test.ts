/** HashKV compared with a real etcd that was given the same writes. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crc32c } from "../../base/crc32c.ts";
import { createRandom } from "../../base/random.ts";
import { MemoryBackend } from "./memory-backend.ts";
import { openStore } from "./mvcc-store.ts";

const address = "127.77.14.1";

function etcdInstalled(): boolean {
  try {
    execFileSync("etcd", ["--version"], { stdio: "ignore" });
    execFileSync("etcdctl", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

it("computes the check value of CRC-32C (RFC 3720, B.4)", () => {
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

describe.skipIf(!etcdInstalled())(
  "HashKV beside a real etcd (skipped where etcd and etcdctl are not installed)",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "haplan-hash-"));
    let url = "";
    let etcd: ReturnType<typeof spawn>;

    beforeAll(async () => {
      url = `http://${address}:${await freePort()}`;
      const peer = `http://${address}:${await freePort()}`;
      etcd = spawn(
        "etcd",
        ["--data-dir", folder, "--listen-client-urls", url, "--advertise-client-urls", url]
          .concat(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
          .concat(["--initial-cluster", `default=${peer}`]),
        { stdio: "ignore" },
      );
      for (let attempt = 0; attempt < 200; attempt++) {
        const healthy = await fetch(`${url}/health`).then(
          (response) => response.ok,
          () => false,
        );
        if (healthy) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error("etcd did not become healthy");
    });

    afterAll(async () => {
      etcd.kill();
      await once(etcd, "exit");
      rmSync(folder, { recursive: true, force: true });
    });

    const call = async (path: string, body: object): Promise<void> => {
      const response = await fetch(`${url}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    };
    const hashOf = async (revision: number): Promise<{ hash: number; compactRevision: number }> => {
      const args = ["--endpoints", url, "endpoint", "hashkv", "--rev", String(revision), "-w", "json"];
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
