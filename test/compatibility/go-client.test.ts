/**
 * Scenarios of etcd's own Go client, with the agent and, where it is installed, with a real etcd: both must give the
 * program the same results.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findGoClient } from "./go-client.ts";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";

const HOST = "127.77.61.1";
const client = await findGoClient();
const reason = "missing" in client ? ` (skipped: ${client.missing})` : "";

describe.skipIf("missing" in client)(`etcd's Go client${reason}`, () => {
  const clusters: ClusterProcesses[] = [];
  beforeAll(async () => {
    const engines = isEtcdInstalled() ? (["agent", "etcd"] as const) : (["agent"] as const);
    clusters.push(...(await Promise.all(engines.map((engine) => startCluster(engine, HOST, { members: 1 })))));
  });
  afterAll(() => Promise.all(clusters.map((cluster) => cluster.stop())));

  /** What our cluster gives; a real etcd must have given the same. */
  async function run(name: string, parameters: Record<string, number> = {}): Promise<unknown> {
    if ("missing" in client) throw new Error(client.missing);
    const results = await Promise.all(clusters.map(({ urls }) => client.run(name, { endpoints: urls, parameters })));
    const [ours, theirs] = results;
    if (theirs !== undefined) expect(ours).toEqual(theirs);
    return ours;
  }

  it("writes, reads, changes and deletes many keys and large values", async () => {
    const result = await run("kv", { keys: 1000, values: 10, bytes: 60_000 });
    expect(result).toMatchObject({
      many: { pages: 11, read: 1000, deleted: 1000 },
      large: { count: 10, same: true, bytes: 600_000 },
    });
  });
});
