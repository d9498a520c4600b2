/**
 * Members are stopped one after the other (SIGTERM), each started again before the next one is stopped, while clients
 * that know all members write: no write fails, watches and leases continue.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { findGoClient } from "./go-client.ts";
import { type ClusterProcesses, startCluster } from "./member-processes.ts";
import { gatewayPut, ownPut, restartEach, SteadyWriters } from "./steady-clients.ts";

const host = "127.77.62.2";
const rounds = 3;
const goClient = await findGoClient();
const whyNoGo = "missing" in goClient ? ` (skipped: ${goClient.missing})` : "";

let members: ClusterProcesses | undefined;
afterEach(() => members?.stop());

async function restartAll(cluster: ClusterProcesses): Promise<void> {
  for (let round = 0; round < rounds; round += 1) await restartEach(cluster);
}

describe("planned stops of all members in turn", () => {
  it("T11: lose no write of haplan's client and of scripts over the gateway", async () => {
    members = await startCluster("agent", host, { members: 3 });
    const own = ownPut(members.urls);
    const gateway = gatewayPut(members.urls);
    const writers = new SteadyWriters([...Array.from({ length: 8 }, () => own.value), gateway, gateway]);
    await restartAll(members);
    await sleep(200);
    const results = await writers.stop();
    await own.close();
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
    for (const { written } of results) expect(written).toBeGreaterThan(100);
  }, 120_000);

  it.skipIf("missing" in goClient)(
    `T11: lose no write, watch or lease of etcd's Go client${whyNoGo}`,
    async () => {
      if ("missing" in goClient) return;
      const cluster = await startCluster("agent", host, { members: 3 });
      members = cluster;
      let restarts: Promise<void> | undefined;
      const result = await goClient.run("steadyWrites", {
        endpoints: cluster.urls,
        parameters: { writers: 16 },
        onEvent: (_event, scenario) => {
          restarts = restartAll(cluster).finally(() => scenario.finish());
        },
      });
      await restarts;
      expect(result).toMatchObject({ failures: null, leaseHeld: true });
    },
    120_000,
  );
});
