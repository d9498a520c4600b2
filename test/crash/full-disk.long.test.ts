/**
 * A member of three whose disk is full: it stops with a message, the others continue, and with free space it comes
 * back with all data. Part of the long tests; the disk is a file system in memory, which requires root to mount.
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EtcdClient, prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import { startCluster } from "../compatibility/member-processes.ts";

const host = "127.77.46.4";
const victim = 1;
const value = Buffer.alloc(10_000, "x");

function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Moves a stopped member's directory to a separate disk with room for two segments of the log and little more. */
function moveToSmallDisk(directory: string): void {
  const run = (command: string, ...words: string[]): void => {
    const { status, stderr } = spawnSync(command, words, { encoding: "utf8" });
    expect(`${status} ${stderr}`).toBe("0 ");
  };
  run("mv", directory, `${directory}.moved`);
  mkdirSync(directory);
  run("mount", "-t", "tmpfs", "-o", "size=220m", "tmpfs", directory);
  run("cp", "-r", `${directory}.moved/.`, directory);
  rmSync(`${directory}.moved`, { recursive: true });
}

const mayMount = process.getuid?.() === 0;
const title = `a member whose disk is full reports it, and comes back with all data${mayMount ? "" : " (skipped: requires root to mount)"}`;

it.skipIf(!mayMount)(title, { timeout: 180_000 }, async () => {
  const cluster = await startCluster("agent", host, { members: 3 });
  const clients = cluster.urls.map((url) => new EtcdClient(connect({ endpoints: [url] }), { timeoutMs: 20_000 }));
  const directory = cluster.dataDir(victim);
  const filler = join(directory, "filler");
  const hashOf = async (member: number): Promise<unknown> => {
    const body = { method: "POST", body: "{}" };
    return ((await (await fetch(`${cluster.urls[member]}/v3/maintenance/hash`, body)).json()) as { hash: number }).hash;
  };
  try {
    await cluster.terminate(victim);
    moveToSmallDisk(directory);
    const acknowledged: string[] = [];
    // The member may be the leader: then some writes have an unknown outcome.
    const putNext = async (at: number): Promise<void> => {
      await clients[0]!.put(`k/${at}`, value).then(
        () => acknowledged.push(`k/${at}`),
        () => {},
      );
    };
    let isOver = false;
    const failure = cluster.startFailure(victim).finally(() => (isOver = true));
    // Once it is a follower, its disk fills up.
    await expect
      .poll(() => clients[victim]!.put("k/before", value).catch(String), { timeout: 20_000 })
      .toHaveProperty("header");
    while (freeBytes(directory) > 4 << 20) appendFileSync(filler, Buffer.alloc(1 << 20));
    let next = 0;
    while (!isOver) await putNext(next++);
    expect(await failure).toMatch(/Cannot write .*"msg":"this member is stopping"/);

    for (let more = 0; more < 100; more++) await putNext(next++);
    rmSync(filler);
    await cluster.restart(victim);
    await expect.poll(() => hashOf(victim), { timeout: 20_000 }).toBe(await hashOf(0));
    const { kvs } = await clients[victim]!.range("k/", { rangeEnd: prefixEnd("k/"), keysOnly: true });
    const keys = new Set(kvs.map((kv) => Buffer.from(decodeKeyValue(kv).key).toString()));
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(acknowledged.filter((key) => !keys.has(key))).toEqual([]);
  } finally {
    await Promise.all(clients.map(({ grpc }) => grpc.close()));
    for (const member of [0, 1, 2]) await cluster.kill(member);
    spawnSync("umount", [directory]);
    await cluster.stop();
  }
});
