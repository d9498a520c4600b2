/**
 * A cluster of the previous release is upgraded member by member during writes, and downgraded again: in every order
 * of the members. No acknowledged write is missing, and all members hold the same data.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { agentConfiguration, changeMembers } from "../../src/control-plane/haplan-calls.ts";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { openMemberChannel } from "../../src/etcd-client/member-channel.ts";
import { agentMain, type ClusterProcesses, startCluster } from "./member-processes.ts";
import { previousAgent } from "./previous-build.ts";
import { ownPut, SteadyWriters } from "./steady-clients.ts";

const callTimeoutMs = 10_000;
const host = "127.77.63.1";
const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

const previous = previousAgent();
const reason = "missing" in previous ? ` (skipped: ${previous.missing})` : "";

let members: ClusterProcesses | undefined;
afterEach(() => members?.stop());

/** Both ways in which a member stops: on request, and like a power cut. */
async function moveTo(build: string, order: readonly number[], cluster: ClusterProcesses): Promise<void> {
  for (const [at, member] of order.entries()) {
    await sleep(150);
    if (at === 1) await cluster.kill(member);
    else await cluster.terminate(member);
    cluster.useAgent(member, build);
    await cluster.restart(member);
    await changeNothing(cluster);
  }
}

/** As the tool does, through each member, whichever leads and whichever release it runs. */
async function changeNothing(cluster: ClusterProcesses): Promise<void> {
  for (const url of cluster.urls) {
    const client = new EtcdClient(openMemberChannel(url, null));
    const { voters, learners } = await agentConfiguration(client, callTimeoutMs);
    const changed = await changeMembers(client, { voters, learners }, callTimeoutMs);
    expect(changed).toEqual({ voters, votersOutgoing: [], learners });
    await client.grpc.close();
  }
}

async function ask<Answer>(url: string, path: string, body: object): Promise<Answer> {
  const response = await fetch(`${url}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
  return (await response.json()) as Answer;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const prefix = { key: base64("/steady/"), range_end: base64("/steady0") };

async function hashes(cluster: ClusterProcesses): Promise<Set<number>> {
  // A linearizable read of each member comes first: all of them have applied everything then.
  for (const url of cluster.urls) await ask(url, "kv/range", { ...prefix, count_only: true });
  const answers = await Promise.all(
    cluster.urls.map((url) => ask<{ hash: number }>(url, "maintenance/hash", {}).then(({ hash }) => hash)),
  );
  return new Set(answers);
}

describe.skipIf("missing" in previous)(`the previous release and this one${reason}`, () => {
  it.each(orders)(
    "serve one cluster, upgraded and downgraded in the order %i, %i, %i",
    { timeout: 120_000 },
    async (...order) => {
      const before = "path" in previous ? previous.path : "";
      const cluster = await startCluster("agent", host, { members: 3, agentMain: before });
      members = cluster;
      const client = ownPut(cluster.urls);
      const writers = new SteadyWriters([client.value, client.value]);
      await moveTo(agentMain, order, cluster);
      await moveTo(before, order, cluster);
      await moveTo(agentMain, order, cluster);
      await sleep(150);
      const results = await writers.stop();
      await client.close();
      const written = results.map((result) => result.written);
      for (const count of written) expect(count).toBeGreaterThan(100);
      for (const url of cluster.urls) {
        const { kvs } = await ask<{ kvs: { key: string }[] }>(url, "kv/range", { ...prefix, keys_only: true });
        const found = new Set(kvs.map(({ key }) => Buffer.from(key, "base64").toString()));
        // A write that failed may have been applied: so there are at least as many as were acknowledged.
        for (const [at, { written: count, failures }] of results.entries()) {
          const own = [...found].filter((key) => key.startsWith(`/steady/${at}/`));
          expect(own.length).toBeGreaterThanOrEqual(count);
          expect(own.length).toBeLessThanOrEqual(count + failures.length);
        }
      }
      expect((await hashes(cluster)).size).toBe(1);
    },
  );
});
