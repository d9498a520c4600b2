/**
 * Requests for running the same conversation against two servers, as calls of the JSON gateway: a fixed list of the
 * corner cases of etcd's API.
 */
import { get, type HttpRequest, post } from "./http-exchange.ts";

export type GatewayRequest = { readonly path: string; readonly body: Record<string, unknown> };

const b64 = (text: string): string => Buffer.from(text, "latin1").toString("base64");
const kv = (name: string, body: Record<string, unknown>): GatewayRequest => ({ path: `/v3/kv/${name}`, body });
const put = (key: string, value = "v", more: Record<string, unknown> = {}): GatewayRequest =>
  kv("put", { key: b64(key), value: b64(value), ...more });
const range = (key: string, more: Record<string, unknown> = {}): GatewayRequest =>
  kv("range", { key: b64(key), ...more });
const remove = (key: string, more: Record<string, unknown> = {}): GatewayRequest =>
  kv("deleterange", { key: b64(key), ...more });
const txn = (body: Record<string, unknown>): GatewayRequest => kv("txn", body);
const lease = (name: string, body: Record<string, unknown>): GatewayRequest => ({ path: `/v3/lease/${name}`, body });
const requestPut = (key: string, more: Record<string, unknown> = {}): unknown => ({
  request_put: { key: b64(key), value: b64("t"), ...more },
});
const requestRange = (key: string, more: Record<string, unknown> = {}): unknown => ({
  request_range: { key: b64(key), ...more },
});
const requestDelete = (key: string, more: Record<string, unknown> = {}): unknown => ({
  request_delete_range: { key: b64(key), ...more },
});
const requestTxn = (body: Record<string, unknown>): unknown => ({ request_txn: body });
const all = { range_end: b64("\0") };

/** In this order, on an empty store. */
export const cornerRequests: readonly GatewayRequest[] = [
  range("a"),
  range(""),
  put(""),
  put("a", "1"),
  put("a", "2", { prev_kv: true }),
  put("b", "1", { prev_kv: true }),
  put("b", "", { ignore_value: true }),
  put("b", "x", { ignore_value: true }),
  put("none", "", { ignore_value: true }),
  put("none", "v", { ignore_lease: true }),
  put("b", "v", { ignore_lease: true, lease: "5" }),
  put("b", "v", { lease: "5" }),
  range("a", all),
  range("\0", { range_end: b64("\0") }),
  range("a", { range_end: b64("a") }),
  range("b", { range_end: b64("a") }),
  range("a", { ...all, limit: "1" }),
  range("a", { ...all, count_only: true }),
  range("a", { ...all, keys_only: true }),
  range("a", { ...all, sort_order: "DESCEND" }),
  range("a", { ...all, sort_target: "MOD" }),
  range("a", { ...all, sort_target: "VALUE", sort_order: "DESCEND", limit: "1" }),
  range("a", { ...all, min_mod_revision: "3" }),
  range("a", { ...all, max_create_revision: "3", limit: "1" }),
  range("a", { revision: "2" }),
  range("a", { revision: "99" }),
  range("a", { revision: "-5" }),
  range("a", { serializable: true }),
  remove("none"),
  remove(""),
  remove("a", { prev_kv: true }),
  remove("a", { ...all, prev_kv: true }),
  put("a", "again"),
  range("a"),
  txn({}),
  txn({ success: [requestPut("t1"), requestPut("t2"), requestRange("t1"), requestDelete("t2")] }),
  txn({ success: [requestPut("t1"), requestPut("t1")] }),
  txn({ success: [requestDelete("t", all), requestPut("t1")] }),
  txn({ success: [requestPut("t1"), requestRange("t", all), requestDelete("a"), requestRange("a")] }),
  txn({ success: [{}] }),
  txn({ compare: [{ key: "" }] }),
  txn({ success: [requestRange("a", { revision: "99" })] }),
  txn({ success: [requestPut("t3"), requestRange("a", { revision: "99" })] }),
  txn({ success: [requestPut("t3"), requestPut("t4", { lease: "99" })] }),
  txn({ success: [requestPut("t3"), requestPut("t5", { ignore_value: true, value: "" })] }),
  txn({
    compare: [{ key: b64("t1"), target: "VERSION", result: "GREATER", version: "0" }],
    success: [
      requestTxn({
        compare: [{ key: b64("new"), target: "CREATE", create_revision: "0" }],
        success: [requestPut("new")],
      }),
      requestRange("new"),
      requestTxn({
        compare: [{ key: b64("new"), target: "CREATE", create_revision: "0" }],
        failure: [requestPut("x")],
      }),
    ],
  }),
  txn({ compare: [{ key: b64("none"), target: "VALUE", result: "NOT_EQUAL", value: b64("x") }] }),
  txn({ compare: [{ key: b64("none"), target: "MOD", mod_revision: "0" }], success: [requestRange("t1")] }),
  txn({ compare: [{ key: b64("t"), ...all, target: "CREATE", result: "GREATER", create_revision: "1" }] }),
  txn({ compare: [{ key: b64("zz"), ...all, target: "VERSION", result: "GREATER", version: "0" }] }),
  txn({ compare: [{ key: b64("a"), target: "LEASE", lease: "0" }] }),
  txn({ success: Array.from({ length: 129 }, (_, at) => requestPut(`m${at}`)) }),
  txn({ success: Array.from({ length: 128 }, (_, at) => requestPut(`m${at}`)) }),
  txn({ success: [requestTxn({ success: Array.from({ length: 128 }, (_, at) => requestPut(`n${at}`)) })] }),
  lease("grant", { TTL: "1", ID: "70" }),
  lease("grant", { TTL: "1", ID: "70" }),
  lease("grant", { TTL: "9000000001" }),
  lease("grant", { TTL: "-4", ID: "71" }),
  lease("grant", { TTL: "500", ID: "72" }),
  put("l1", "v", { lease: "72" }),
  put("l0", "v", { lease: "72" }),
  put("l1", "", { ignore_value: true, prev_kv: true }),
  put("l0", "w", { ignore_lease: true, prev_kv: true }),
  range("l", all),
  lease("timetolive", { ID: "72", keys: true }),
  lease("timetolive", { ID: "99" }),
  lease("keepalive", { ID: "72" }),
  lease("keepalive", { ID: "99" }),
  lease("leases", {}),
  lease("revoke", { ID: "72" }),
  lease("revoke", { ID: "72" }),
  range("l0"),
  kv("compaction", { revision: "999999" }),
  kv("compaction", { revision: "5", physical: true }),
  kv("compaction", { revision: "5" }),
  kv("compaction", { revision: "0" }),
  range("a", { revision: "4" }),
  range("a", { revision: "5" }),
  txn({ success: [requestRange("a", { revision: "4" })] }),
  { path: "/v3/cluster/member/promote", body: { ID: "99" } },
  { path: "/v3/cluster/member/remove", body: { ID: "99" } },
  { path: "/v3/cluster/member/add", body: { peerURLs: ["nonsense"] } },
  { path: "/v3/cluster/member/add", body: {} },
  { path: "/v3/maintenance/alarm", body: {} },
  { path: "/v3/maintenance/alarm", body: { action: "DEACTIVATE", memberID: "5", alarm: "NOSPACE" } },
  { path: "/v3/maintenance/defragment", body: {} },
  { path: "/v3/maintenance/transfer-leadership", body: { targetID: "99" } },
];

const keyed = (more = ""): string => `{"key":"${b64("http")}"${more}}`;

/** Spellings that clients use, paths that do not exist, streams. In this order, after the others. */
export const httpRequests: readonly HttpRequest[] = [
  post("/v3/kv/put", keyed(`,"value":"${b64("1")}"`)),
  ...["/v3/kv/range", "/v3beta/kv/range"].map((path) => post(path, keyed())),
  post("/v3/kv/range", keyed(`,"rangeEnd":"AA==","sortOrder":"DESCEND","sortTarget":2,"limit":1,"countOnly":false`)),
  post("/v3/kv/range", keyed(`,"unknown":{"a":[1]}`)),
  post("/v3/kv/range", ""),
  post(
    "/v3/kv/txn",
    `{"compare":[{"result":0,"target":"VERSION","key":"${b64("http")}","version":1}],"success":[{"requestRange":${keyed()}}]}`,
  ),
  ...[`{"sort_order":"NONSENSE"}`, `{"sort_order":77}`, `{"key":"a"}`, `{"key":["YQ=="]}`, `{"limit":"0x10"}`].map(
    (body) => post("/v3/kv/range", body),
  ),
  ...["null", " ", `${keyed()}${keyed()}`, `${keyed()} and words`, `${keyed()}]`, "[]", "\xa0", `{"key`].map((body) =>
    post("/v3/kv/range", body),
  ),
  post("/v3/lease/grant", `{"ID":7587862094293712907,"TTL":"500"}`),
  post("/v3/lease/timetolive", `{"ID":"7587862094293712907"}`),
  post("/v3/lease/timetolive", `{"ID":7587862094293712906}`),
  post("/v3/kv/range", keyed(), { "Grpc-Timeout": "5S" }),
  post("/v3/kv/range", keyed(), { "Grpc-Timeout": "5x" }),
  post("/v3/kv/range", keyed(), { Token: "which is no metadata" }),
  post("/v3/watch", `{"createRequest":${keyed()}}{"create_request":${keyed()}}\n{"cancel_request":{"watch_id":1}}`),
  post("/v3/watch", `{"create_request":${keyed(`,"range_end":"${b64("a")}"`)}}`),
  post("/v3/watch", `{"create_request":${keyed()}}{"progress_request":{}}`),
  post("/v3/lease/keepalive", `{"ID":"404"}{"ID":405}`),
  post("/v3/election/leader", `{"name":"${b64("nobody")}"}`),
  post("/v3/kv/none", "{}"),
  post("/v3alpha/kv/range", "{}"),
  ...["//v3/kv/range", "/v3//kv/range", "/v3/kv/../kv/range", "/v3/kv/range/", "/v3/kv/rang%65"].map((path) =>
    post(path, keyed()),
  ),
  post("/health", ""),
  post("/version", ""),
  ...["/v3/kv/range", "/v3/kv/none", "/", "/none", "/v2/keys", "/metrics/", "/debug/pprof/"].map((path) => get(path)),
  ...["//metrics", "//health?serializable=true", "/./version"].map((path) => get(path)),
  ...["/health", "/version", "/v3/kv/range"].map((path) => get(path, "HEAD")),
  ...["/v3/kv/range", "/health", "/none"].map((path) => get(path, "OPTIONS")),
];
