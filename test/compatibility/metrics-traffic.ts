/** The same requests for two clusters, and how they change the metrics page of the member that they are sent to. */
import { exchange, get, type HttpRequest, post } from "./http-exchange.ts";
import type { ClusterProcesses } from "./member-processes.ts";
import { parsePrometheusText } from "./prometheus-text.ts";

/** Equal to the last digit. Sums, buckets and metrics that depend on the store are not among them. */
const compared = [
  /^etcd_mvcc_(put|delete|txn|range)_total/,
  /^etcd_debugging_mvcc_(keys|events|watcher|watch_stream|slow_watcher)_total/,
  /^etcd_debugging_mvcc_(current_revision|compact_revision|total_put_size_in_bytes)/,
  /^etcd_debugging_mvcc_(index_compaction_pause|db_compaction_total)_duration_milliseconds_count/,
  /^etcd_mvcc_hash_rev_duration_seconds_count/,
  /^etcd_disk_backend_snapshot_duration_seconds_count/,
  /^etcd_debugging_lease_(granted|revoked)_total/,
  /^etcd_debugging_lease_ttl_total_(sum|count)/,
  /^etcd_debugging_server_lease_expired_total/,
  /^etcd_debugging_auth_revision/,
  /^etcd_network_client_grpc_received_bytes_total/,
  /^etcd_server_(has_leader|is_learner|health_success|health_failures|proposals_failed_total|proposals_pending)/,
  /^etcd_server_(read_indexes_failed_total|leader_changes_seen_total)/,
  /^grpc_server_(started|handled|msg_received)_total/,
  /^grpc_server_msg_sent_total(?!.*Snapshot)/,
  /^grpc_server_handling_seconds_count/,
];

const b64 = (text: string): string => Buffer.from(text).toString("base64");
const json = (path: string, body: object): HttpRequest => post(path, JSON.stringify(body));
const put = (key: string, more: object = {}): HttpRequest =>
  json("/v3/kv/put", { key: b64(key), value: b64("value"), ...more });
const requestPut = (key: string): object => ({ request_put: { key: b64(key), value: b64("v") } });
const requestRange = (key: string): object => ({ request_range: { key: b64(key) } });
const created = (key: string): object => ({ key: b64(key), target: "VERSION", result: "GREATER", version: 0 });

/** What clients do, and what they do wrong. */
const clients: readonly HttpRequest[] = [
  ...["a", "a", "b", "c"].map((key) => put(key)),
  put("a", { prev_kv: true }),
  put("a", { lease: "404" }),
  json("/v3/kv/range", { key: b64("a"), range_end: b64("z") }),
  json("/v3/kv/range", { key: b64("a"), serializable: true }),
  json("/v3/kv/range", { key: b64("a"), revision: "999999" }),
  json("/v3/kv/range", {}),
  json("/v3/kv/deleterange", { key: b64("b"), range_end: b64("z"), prev_kv: true }),
  json("/v3/kv/deleterange", { key: b64("none") }),
  // As kube-apiserver writes: one condition, one put, otherwise a read.
  json("/v3/kv/txn", { compare: [created("none")], success: [requestPut("d")], failure: [requestRange("d")] }),
  json("/v3/kv/txn", { compare: [created("a")], success: [requestPut("d")] }),
  json("/v3/kv/txn", { success: [requestPut("e"), requestRange("a"), { request_delete_range: { key: b64("a") } }] }),
  json("/v3/kv/txn", { success: [requestRange("a"), requestRange("d")] }),
  json("/v3/lease/grant", { ID: "77", TTL: "100" }),
  ...["l1", "l2"].map((key) => put(key, { lease: "77" })),
  json("/v3/lease/keepalive", { ID: "77" }),
  ...["77", "77"].map((ID) => json("/v3/lease/revoke", { ID })),
];

/** The first two of them count as a range in one of the two: they are not compared. */
const operators: readonly HttpRequest[] = [
  ...["5", "5"].map((revision) => json("/v3/kv/compaction", { revision, physical: true })),
  ...["/health", "/health?serializable=true"].map((path) => get(path)),
  json("/v3/cluster/member/promote", { ID: "5" }),
  json("/v3/maintenance/snapshot", {}),
  json("/v3/auth/user/add", { name: "ann", password: "secret" }),
];

type Page = Readonly<Record<string, number>>;

async function readPage(url: string): Promise<Page> {
  const families = parsePrometheusText((await exchange(url, get("/metrics"))).body);
  const samples = [...families.values()].flatMap((family) => family.samples);
  const named = samples.map(({ name, labels, value }): [string, number] => {
    const sorted = Object.entries(labels).sort(([x], [y]) => (x < y ? -1 : 1));
    return [sorted.length === 0 ? name : `${name}${JSON.stringify(sorted)}`, value];
  });
  return Object.fromEntries(named.filter(([name]) => compared.some((pattern) => pattern.test(name))));
}

/** Only what is not zero: some series begin with their first value. */
function difference(before: Page, after: Page): Page {
  const changes = Object.entries(after).map(([name, value]): [string, number] => [name, value - (before[name] ?? 0)]);
  return Object.fromEntries(changes.filter(([, change]) => change !== 0));
}

export type TrafficValues = { readonly watching: Page; readonly serving: Page; readonly operating: Page };

/** `watching`: while a watch is open that has received two changes. */
export async function valuesOfTraffic({ urls }: ClusterProcesses): Promise<TrafficValues> {
  const url = urls[0]!;
  const start = await readPage(url);
  const watch = await fetch(`${url}/v3/watch`, {
    method: "POST",
    body: JSON.stringify({ create_request: { key: b64("w") } }),
  });
  const reader = watch.body!.getReader();
  await reader.read();
  for (const key of ["w", "w"]) {
    await exchange(url, put(key));
    await reader.read();
  }
  const watching = difference(start, await readPage(url));
  await reader.cancel();
  let before = await readPage(url);
  while (before["etcd_debugging_mvcc_watcher_total"] !== start["etcd_debugging_mvcc_watcher_total"])
    before = await readPage(url);
  for (const request of clients) await exchange(url, request);
  const between = await readPage(url);
  for (const request of operators) await exchange(url, request);
  const { etcd_mvcc_range_total: _, ...operating } = difference(between, await readPage(url));
  return { watching, serving: difference(before, between), operating };
}
