/** The metrics page when a leader moves and members die: ours beside a real etcd's. Part of the long tests. */
import { afterAll, describe, expect, it } from "vitest";
import { exchange, get, post } from "./http-exchange.ts";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";
import { parsePrometheusText } from "./prometheus-text.ts";

const host = "127.77.43.3";
const settleMs = 20_000;

type Values = ReadonlyMap<string, number>;

/** Families without labels by their name; labeled ones are summed up. */
async function readValues(url: string): Promise<Values> {
  const values = new Map<string, number>();
  for (const { samples } of parsePrometheusText((await exchange(url, get("/metrics"))).body).values())
    for (const { name, value } of samples) values.set(name, (values.get(name) ?? 0) + value);
  return values;
}

async function until(url: string, wanted: (values: Values) => boolean): Promise<Values> {
  const deadlineMs = Date.now() + settleMs;
  for (;;) {
    const values = await readValues(url);
    if (wanted(values)) return values;
    if (Date.now() > deadlineMs) throw new Error(`${url} does not tell what is awaited: ${[...values].join(" ")}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const put = (url: string): ReturnType<typeof exchange> => exchange(url, post("/v3/kv/put", '{"key":"YQ=="}'));

describe.skipIf(!isEtcdInstalled())("metrics of failures", () => {
  const clusters: ClusterProcesses[] = [];
  afterAll(() => Promise.all(clusters.map((cluster) => cluster.stop())));

  it.each(["etcd", "agent"] as const)("show when leaders and peers change: %s", { timeout: 90_000 }, async (engine) => {
    const cluster = await startCluster(engine, host, { members: 3 });
    clusters.push(cluster);
    const { urls } = cluster;
    const has = (name: string, value: number) => (values: Values) => values.get(name) === value;
    for (const url of urls) await until(url, has("etcd_server_has_leader", 1));
    for (const url of urls) await until(url, has("etcd_network_active_peers", 2));
    const start = await Promise.all(urls.map(readValues));
    const leader = start.findIndex((values) => values.get("etcd_server_is_leader") === 1);
    const [next, last] = [(leader + 1) % 3, (leader + 2) % 3];
    const status = JSON.parse((await exchange(urls[next]!, post("/v3/maintenance/status", "{}"))).body);
    const target = JSON.stringify({ targetID: status.header.member_id });
    expect((await exchange(urls[leader]!, post("/v3/maintenance/transfer-leadership", target))).status).toBe(200);
    for (const [at, url] of urls.entries()) {
      const moved = (start[at]!.get("etcd_server_leader_changes_seen_total") ?? 0) + 1;
      await until(url, has("etcd_server_leader_changes_seen_total", moved));
    }
    await until(urls[next]!, has("etcd_server_is_leader", 1));

    await cluster.kill(leader);
    for (const at of [next, last]) {
      await until(urls[at]!, has("etcd_network_active_peers", 1));
      await until(urls[at]!, has("etcd_network_disconnected_peers_total", 1));
    }
    expect((await put(urls[next]!)).status).toBe(200);
    await until(urls[next]!, (values) => (values.get("etcd_network_peer_sent_failures_total") ?? 0) > 0);

    await cluster.kill(next);
    const lonely = urls[last]!;
    await until(lonely, has("etcd_server_has_leader", 0));
    expect(await until(lonely, has("etcd_network_active_peers", 0))).toSatisfy(has("etcd_server_proposals_pending", 0));
    expect((await put(lonely)).status).toBeGreaterThanOrEqual(500);
    await until(lonely, has("etcd_server_proposals_failed_total", 1));
    expect((await exchange(lonely, get("/health"))).status).toBe(503);
    await until(lonely, has("etcd_server_health_failures", (start[last]!.get("etcd_server_health_failures") ?? 0) + 1));
  });
});
