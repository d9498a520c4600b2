/** A mirror between a real etcd and an agent, in both directions, under every kind of change. */
import { describe, expect, it } from "vitest";
import { createRandom } from "../../src/base/random.ts";
import { type EtcdClient, prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import {
  currentRevision,
  freeze,
  isFrozen,
  keyspaceHash,
  leaseFacts,
  leaseIds,
  unfreeze,
} from "../../src/migrate/cluster-calls.ts";
import { type ClusterEnd, openClusterEnd } from "../../src/migrate/cluster-end.ts";
import { Mirror } from "../../src/migrate/mirror.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import type { RequestOp } from "../../src/raft-agent/api/txn.ts";
import { emptyBytes } from "../../src/raft-agent/api/wire.ts";
import { isEtcdInstalled, startCluster } from "./member-processes.ts";

const put = (key: string, value: string, lease = 0n): RequestOp => ({
  kind: "put",
  request: {
    key: Buffer.from(key),
    value: Buffer.from(value),
    lease,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  },
});
const remove = (key: string): RequestOp => ({
  kind: "deleteRange",
  request: { key: Buffer.from(key), rangeEnd: emptyBytes, prevKv: false },
});

/** Puts, deletions of keys and ranges, transactions, leases that are granted, revoked and that expire. */
async function change(client: EtcdClient, seed: number): Promise<void> {
  const random = createRandom(seed);
  const key = (): string => `key/${random.below(40)}`;
  await client.leaseGrant(2, 5n);
  await client.put("expires/1", "x", { lease: 5n });
  await client.put("expires/2", "x", { lease: 5n });
  await client.leaseGrant(300, 6n);
  for (let i = 0; i < 150; i++) {
    const kind = random.below(5);
    if (kind === 0) await client.deleteRange(key());
    else if (kind === 1) {
      const keys = [...new Set([key(), key(), key()])];
      const success = keys.map((name, at) => (at === 0 ? remove(name) : put(name, `t${i}`, at === 1 ? 6n : 0n)));
      await client.txn({ compare: [], success, failure: [] });
    } else await client.put(key(), `value ${i}`, { lease: random.below(3) === 0 ? 6n : 0n });
  }
  // One revision with more changes than a transaction may have: a range, and a lease with keys between others.
  for (let i = 0; i < 4; i++) {
    const keys = Array.from({ length: 100 }, (_, at) => put(`many/${i}/${at}`, "x"));
    await client.txn({ compare: [], success: keys, failure: [] });
  }
  await client.leaseGrant(300, 7n);
  for (let i = 0; i < 3; i++) {
    const keys = Array.from({ length: 100 }, (_, at) => put(`leased/${at}/${i}`, "x", at % 2 === 0 ? 7n : 0n));
    await client.txn({ compare: [], success: keys, failure: [] });
  }
  await client.deleteRange("many/", prefixEnd("many/"));
  await client.leaseRevoke(7n);
  await client.leaseGrant(300, 8n);
}

async function compare(source: ClusterEnd, target: ClusterEnd, revision: number): Promise<void> {
  const [ours, theirs] = await Promise.all([
    keyspaceHash(source, source.endpoints[0]!, revision),
    keyspaceHash(target, target.endpoints[0]!, revision),
  ]);
  expect(ours).toEqual(theirs);
}

describe.skipIf(!isEtcdInstalled())("a mirror (skipped where etcd is not installed)", () => {
  it.each([
    ["etcd", "agent"],
    ["agent", "etcd"],
  ] as const)(
    "14/4: from %s to %s has the same revisions, hashes, leases and keys",
    async (from, to) => {
      const [old, copy] = await Promise.all([
        startCluster(from, `127.77.61.${from === "etcd" ? 1 : 3}`, { members: 1 }),
        startCluster(to, `127.77.61.${from === "etcd" ? 2 : 4}`, { members: 1 }),
      ]);
      const source = openClusterEnd({ endpoints: old.urls, tls: null });
      const target = openClusterEnd({ endpoints: copy.urls, tls: null });
      try {
        await using mirror = await Mirror.start(source, target, 1);
        await change(source.client, 7);
        await mirror.reached(await currentRevision(source), 10_000);
        await compare(source, target, mirror.applied);
        await source.client.compact(mirror.applied - 20);
        await target.client.compact(mirror.applied - 20);
        await compare(source, target, mirror.applied);
        // The lease of two seconds has expired in the source by now, or does so after the freeze is over.
        await freeze(source);
        expect(await isFrozen(source)).toBe(true);
        await expect(source.client.put("a", "b")).rejects.toThrow("corrupt cluster");
        const last = await currentRevision(source);
        await mirror.reached(last, 5_000);
        await mirror.alignLeases();
        await compare(source, target, last);
        const leases = (await leaseIds(source)).map(String).sort();
        expect((await leaseIds(target)).map(String).sort()).toEqual(leases);
        expect(leases).toEqual(expect.arrayContaining(["6", "8"]));
        expect(leases).not.toContain("7");
        const keysOfLease = async (end: ClusterEnd): Promise<readonly string[]> =>
          ((await leaseFacts(end, 6n, true))?.keys ?? []).map((key) => Buffer.from(key).toString()).sort();
        expect(await keysOfLease(target)).toEqual(await keysOfLease(source));
        await unfreeze(source);
        await source.client.put("after", "x");
        await mirror.reached(await currentRevision(source), 5_000);
        const [kv] = (await target.client.range("after")).kvs;
        expect(decodeKeyValue(kv!).modRevision).toBe(mirror.applied);
      } finally {
        await Promise.all([source.close(), target.close()]);
        await Promise.all([old.stop(), copy.stop()]);
      }
    },
    30_000,
  );
});
