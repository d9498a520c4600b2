/**
 * etcd's Go client connected to three members while these are killed and stopped: no acknowledged write is lost, the
 * watch reports each of them once and in order, and lease and lock are held throughout. With an etcd 3.7 beside it,
 * once built.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEtcdProgram } from "./etcd-programs.ts";
import { findGoClient } from "./go-client.ts";
import { type ClusterProcesses, type Engine, leadingMember, startCluster } from "./member-processes.ts";

const host = "127.77.61.2";
const client = await findGoClient();
const etcd = await findEtcdProgram("3.7", "etcd");
const engines: readonly Engine[] = "path" in etcd ? ["agent", "etcd"] : ["agent"];
const reason = "missing" in client ? ` (skipped: ${client.missing})` : "";
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.skipIf("missing" in client).each(engines)(`etcd's Go client at three members: %s${reason}`, (engine) => {
  let cluster: ClusterProcesses;
  beforeAll(async () => {
    const etcdProgram = "path" in etcd ? { etcdProgram: etcd.path } : {};
    cluster = await startCluster(engine, host, { members: 3, ...etcdProgram });
  });
  afterAll(() => cluster?.stop());
  const run = (name: string, onEvent?: (event: string, running: { finish(): void }) => void): Promise<unknown> => {
    if ("missing" in client) throw new Error(client.missing);
    return client.run(name, { endpoints: cluster.urls, ...(onEvent === undefined ? {} : { onEvent }) });
  };

  it("moves the leader to every member", async () => {
    const atFollower = { "etcdserver: not leader": 3 };
    expect(await run("move-leader")).toEqual({ moved: 3, members: 3, atFollower });
  });

  it("requests status and hashes from every member", async () => {
    const result = await run("maintenance");
    expect(result).toMatchObject({ status: { leaders: 1 }, hashes: { hashes: 1 }, defragmented: 3 });
  });

  it("loses no write and no event while members are killed, stopped and paused", { timeout: 120_000 }, async () => {
    /**
     * Each member is unavailable for a time: the leader is killed, the next leader stopped cleanly, the one after it
     * paused.
     */
    const fail = async (): Promise<void> => {
      await pause(1000);
      const first = await leadingMember(cluster);
      await cluster.kill(first);
      await pause(4000);
      await cluster.restart(first);
      const second = await leadingMember(cluster);
      await cluster.terminate(second);
      await pause(2000);
      await cluster.restart(second);
      const third = await leadingMember(cluster);
      cluster.pause(third);
      await pause(5000);
      cluster.resume(third);
      await pause(2000);
    };
    let failed: Promise<void> = Promise.resolve();
    const result = (await run("failover", (event, running) => {
      expect(event).toBe("running");
      failed = fail().finally(() => running.finish());
    })) as { readonly acknowledged: number; readonly longestGapMs: number };
    await failed;
    console.log(`${engine}: ${result.acknowledged} acknowledged writes, longest gap ${result.longestGapMs} ms`);
    expect(result).toMatchObject({
      missing: 0,
      watchOutOfOrder: 0,
      toldToTheEnd: true,
      lockHeld: true,
      session: "held",
    });
    expect(result.acknowledged).toBeGreaterThan(100);
  });
});
