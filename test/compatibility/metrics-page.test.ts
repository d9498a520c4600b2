/** The metrics page of live members: strictly parsed, complete for etcd's dashboard and alerts, and correct. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { connect } from "../../src/etcd-client/grpc-client.ts";
import { type ClusterProcesses, isEtcdInstalled, startCluster } from "./member-processes.ts";
import { valuesOfTraffic } from "./metrics-traffic.ts";
import { type Family, parsePrometheusText } from "./prometheus-text.ts";

const host = "127.77.24.5";
/** Read by etcd's mixin; histograms by their family. */
const mixin: Readonly<Record<string, string>> = {
  etcd_server_has_leader: "gauge",
  etcd_server_leader_changes_seen_total: "counter",
  etcd_server_proposals_failed_total: "counter",
  etcd_server_proposals_pending: "gauge",
  etcd_server_proposals_committed_total: "gauge",
  etcd_server_proposals_applied_total: "gauge",
  etcd_server_quota_backend_bytes: "gauge",
  etcd_server_slow_apply_total: "counter",
  etcd_disk_wal_fsync_duration_seconds: "histogram",
  etcd_disk_backend_commit_duration_seconds: "histogram",
  etcd_mvcc_db_total_size_in_bytes: "gauge",
  etcd_mvcc_db_total_size_in_use_in_bytes: "gauge",
  etcd_network_peer_sent_bytes_total: "counter",
  etcd_network_peer_received_bytes_total: "counter",
  etcd_network_peer_sent_failures_total: "counter",
  etcd_network_peer_round_trip_time_seconds: "histogram",
  etcd_network_client_grpc_sent_bytes_total: "counter",
  etcd_network_client_grpc_received_bytes_total: "counter",
  grpc_server_started_total: "counter",
  grpc_server_handled_total: "counter",
  grpc_server_handling_seconds: "histogram",
  process_resident_memory_bytes: "gauge",
};
const puts = 50;

describe("the metrics page", () => {
  let cluster: ClusterProcesses;
  let pages: ReadonlyMap<string, Family>[];
  beforeAll(async () => {
    const flags = ["--metrics=extensive", "--warning-apply-duration=1ns", "--quota-backend-bytes=1000000000"];
    cluster = await startCluster("agent", host, { members: 3, flags });
    await using grpc = connect({ endpoints: cluster.urls });
    const client = new EtcdClient(grpc);
    for (let at = 0; at < puts; at++) await client.put(`m/${at}`, "x".repeat(100));
    await expect(client.range("")).rejects.toThrow("key is not provided");
    // Commits to disk and round trips come a moment later.
    for (let turn = 0; turn < 100; turn++) {
      pages = await Promise.all(cluster.urls.map(readPage));
      const isSettled = (page: ReadonlyMap<string, Family>): boolean =>
        sum(page, "etcd_mvcc_put_total") === puts &&
        sum(page, "etcd_disk_backend_commit_duration_seconds", "_count") > 0;
      if (pages.every(isSettled)) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  });
  afterAll(() => cluster?.stop());

  async function readPage(url: string): Promise<ReadonlyMap<string, Family>> {
    const answer = await fetch(`${url}/metrics`);
    expect(answer.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
    return parsePrometheusText(await answer.text());
  }
  const sum = (page: ReadonlyMap<string, Family>, name: string, suffix = ""): number =>
    (page.get(name)?.samples ?? [])
      .filter((sample) => sample.name === name + suffix)
      .reduce((total, { value }) => total + value, 0);
  const each = (name: string, suffix = ""): number[] => pages.map((page) => sum(page, name, suffix));

  it("has every name of etcd's dashboard and alerts, with its type", () => {
    for (const page of pages)
      for (const [name, type] of Object.entries(mixin)) expect(page.get(name)?.type, name).toBe(type);
  });

  it("describes the cluster correctly", () => {
    expect(each("etcd_server_has_leader")).toEqual([1, 1, 1]);
    expect(each("etcd_server_is_leader").sort()).toEqual([0, 0, 1]);
    expect(each("etcd_mvcc_put_total")).toEqual([puts, puts, puts]);
    expect(each("etcd_debugging_mvcc_current_revision")).toEqual([puts + 1, puts + 1, puts + 1]);
    expect(each("etcd_server_quota_backend_bytes")).toEqual([1e9, 1e9, 1e9]);
    expect(new Set(each("etcd_server_proposals_applied_total")).size).toBe(1);
    for (const applied of each("etcd_server_proposals_applied_total")) expect(applied).toBeGreaterThan(puts);
    expect(each("etcd_server_proposals_committed_total")).toEqual(each("etcd_server_proposals_applied_total"));
    expect(each("etcd_server_proposals_pending")).toEqual([0, 0, 0]);
    for (const name of ["etcd_disk_wal_fsync_duration_seconds", "etcd_disk_backend_commit_duration_seconds"])
      for (const count of each(name, "_count")) expect(count, name).toBeGreaterThan(0);
    for (const name of ["etcd_network_peer_sent_bytes_total", "etcd_network_peer_received_bytes_total"])
      for (const bytes of each(name)) expect(bytes, name).toBeGreaterThan(puts * 10);
    for (const count of each("etcd_server_slow_apply_total")) expect(count).toBeGreaterThanOrEqual(puts);
    for (const inUse of each("etcd_mvcc_db_total_size_in_use_in_bytes")) expect(inUse).toBeGreaterThan(puts * 100);
  });

  it("counts calls correctly: how many, with which status, how long", () => {
    const ofPut = (name: string, suffix = "", more: Record<string, string> = {}): number =>
      pages
        .flatMap((page) => page.get(name)?.samples ?? [])
        .filter((sample) => sample.name === name + suffix && sample.labels["grpc_method"] === "Put")
        .filter(({ labels }) => Object.entries(more).every(([label, value]) => labels[label] === value))
        .reduce((total, { value }) => total + value, 0);
    expect(ofPut("grpc_server_started_total")).toBe(puts);
    expect(ofPut("grpc_server_handled_total", "", { grpc_code: "OK" })).toBe(puts);
    expect(ofPut("grpc_server_handling_seconds", "_count", { grpc_type: "unary" })).toBe(puts);
    expect(ofPut("grpc_server_handling_seconds", "_sum")).toBeGreaterThan(0);
    const refused = pages
      .flatMap((page) => page.get("grpc_server_handled_total")?.samples ?? [])
      .filter(({ labels }) => labels["grpc_method"] === "Range" && labels["grpc_code"] === "InvalidArgument");
    expect(refused.reduce((total, { value }) => total + value, 0)).toBe(1);
    for (const bytes of each("etcd_network_client_grpc_received_bytes_total").filter((value) => value > 0))
      expect(bytes).toBeGreaterThan(puts * 100);
  });
});

/** What etcd measures and we do not, as docs/etcd-differences.md lists it. */
const notOurs: readonly RegExp[] = [
  /^go_/,
  /^etcd_server_go_version$/,
  /^etcd_debugging_disk_backend_commit_/,
  /^etcd_disk_backend_defrag_duration_seconds$/,
  /^etcd_debugging_store_/,
  /^etcd_debugging_snap_save_/,
  /^etcd_snap_(db_)?fsync_duration_seconds$/,
  /^etcd_grpc_proxy_/,
  /^etcd_mvcc_db_open_read_transactions$/,
  /^etcd_mvcc_hash_duration_seconds$/,
  /^etcd_debugging_mvcc_pending_events_total$/,
  /^etcd_server_client_requests_total$/,
];

describe.skipIf(!isEtcdInstalled())("the metrics page beside that of a real etcd", () => {
  let theirs: ClusterProcesses;
  let ours: ClusterProcesses;
  beforeAll(async () => {
    const flags = ["--metrics=extensive"];
    [theirs, ours] = await Promise.all([
      startCluster("etcd", host, { members: 3, flags }),
      startCluster("agent", host, { members: 3, flags }),
    ]);
  });
  afterAll(() => Promise.all([theirs, ours].map((cluster) => cluster?.stop())));

  it("changes by the same values for the same requests", async () => {
    const [real, own] = await Promise.all([theirs, ours].map(valuesOfTraffic));
    expect(Object.keys(real!.serving).length).toBeGreaterThan(50);
    expect(own).toEqual(real);
  });

  it("has every name, of the same type, except for the listed ones", async () => {
    const [real, own] = await Promise.all([namesOf(theirs), namesOf(ours)]);
    const wanted = [...real].filter(([name]) => !notOurs.some((pattern) => pattern.test(name)));
    expect(wanted.length).toBeGreaterThan(70);
    for (const [name, type] of wanted) expect.soft(own.get(name), name).toBe(type);
    for (const pattern of notOurs) {
      expect(
        [...real.keys()].some((name) => pattern.test(name)),
        `${pattern} is etcd's`,
      ).toBe(true);
      expect(
        [...own.keys()].some((name) => pattern.test(name)),
        `${pattern} is not ours`,
      ).toBe(false);
    }
  });
});

/** Labeled families appear with their first value, on whichever member that is. */
async function namesOf({ urls }: ClusterProcesses): Promise<Map<string, string>> {
  const pages = await Promise.all(urls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
  return new Map(pages.flatMap((page) => [...page.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, n, t]) => [n!, t!])));
}

describe("the strict reader", () => {
  it.each([
    ["a\n", "sample before any family"],
    ["# HELP a b\n# TYPE a counter\na -1", "does not end with a line end"],
    ["# HELP a b\n# TYPE a counter\na -1\n", "the counter"],
    ["# HELP a b\n# TYPE a gauge\na 1\na 2\n", "stands twice"],
    ["# HELP a b\n# TYPE a gauge\nb 1\n", "is not of a"],
    ['# HELP a b\n# TYPE a gauge\na{x="1" 1\n', "not a sample"],
    ["# HELP a b\n# TYPE a gauge\na one\n", "not a number"],
    ['# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n', "does not end with +Inf"],
    ["# TYPE a gauge\na 1\n", "no help"],
  ])("rejects %j", (page, reason) => {
    expect(() => parsePrometheusText(page)).toThrow(reason);
  });
});
