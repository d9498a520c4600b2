/** KV: every option of every call in every combination that makes sense, and every error. Begins empty. */
import type { Step } from "./conversation.ts";
import { b64, call, etcdctl, put, range, remove, txn } from "./script-words.ts";

const all = { range_end: b64("\0") };
const targets = ["KEY", "VERSION", "CREATE", "MOD", "VALUE"] as const;
const orders = ["NONE", "ASCEND", "DESCEND"] as const;
const results = ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"] as const;
const opPut = (key: string, more: object = {}): object => ({
  request_put: { key: b64(key), value: b64("t"), ...more },
});
const opRange = (key: string, more: object = {}): object => ({ request_range: { key: b64(key), ...more } });
const opDelete = (key: string, more: object = {}): object => ({ request_delete_range: { key: b64(key), ...more } });
const opTxn = (body: object): object => ({ request_txn: body });

const fill: readonly Step[] = [
  put("f/1", "c"),
  put("f/2", "b"),
  put("f/3", "a"),
  put("f/2", "b"),
  put("f/3", "b"),
  put("f/4", ""),
  put("f/\xff", "binary \x00\xfe"),
  put("g", "out of range"),
];

const prefix = { range_end: b64("f0") };

const ranges: readonly Step[] = [
  ...targets.flatMap((sort_target) =>
    orders.map((sort_order) => range("f/", { ...prefix, sort_target, sort_order, limit: "3" })),
  ),
  ...["1", "4", "5", "9", "100"].map((limit) => range("f/", { ...prefix, limit })),
  ...["keys_only", "count_only", "serializable"].map((flag) => range("f/", { ...prefix, [flag]: true })),
  range("f/", { ...prefix, keys_only: true, count_only: true, limit: "1" }),
  range("f/", { ...prefix, limit: "-1" }),
  range("f/", { ...prefix, min_mod_revision: "4", max_mod_revision: "6" }),
  range("f/", { ...prefix, min_create_revision: "3", max_create_revision: "4" }),
  range("f/", { ...prefix, min_mod_revision: "6", max_mod_revision: "4", limit: "1" }),
  range("f/", { ...prefix, max_mod_revision: "7", limit: "2", sort_order: "DESCEND" }),
  range("f/", { ...prefix, min_create_revision: "3", count_only: true }),
  ...["1", "2", "5", "8", "9", "10", "1000000", "-1"].map((revision) => range("f/", { ...prefix, revision })),
  // An unknown sort target crashes an etcd 3.4, so that only the order is tested here.
  range("f/", { ...prefix, sort_order: 9 }, { differs: "sort-option-checked" }),
  range("f/", { ...prefix, sort_order: -1 }, { differs: "sort-option-checked" }),
  range("", prefix),
  range("\0", all),
  range("f/", { range_end: b64("f/") }),
  range("g", { range_end: b64("f") }),
  range("f/\xff", {}),
  range("none"),
  range("f/1", {}, { metadata: { hasleader: "true" } }),
  range("f/1", {}, { metadata: { "client-api-version": "3.4" } }),
  range("f/1", {}, { metadata: { "client-api-version": "3.4.1" } }),
];

const writes: readonly Step[] = [
  put("w", "1", { prev_kv: true }),
  put("w", "2", { prev_kv: true }),
  put("w", "", { ignore_value: true, prev_kv: true }),
  put("w", "3", { ignore_value: true }),
  put("w", "", { ignore_value: true, ignore_lease: true }),
  put("w", "4", { ignore_lease: true }),
  put("w", "4", { ignore_lease: true, lease: "1" }),
  put("w", "5", { lease: "404" }),
  put("w", "5", { lease: "-1" }),
  put("nothing", "", { ignore_value: true }),
  put("nothing", "1", { ignore_lease: true }),
  put("", "1"),
  put("big", "x".repeat(100_000)),
  put("too big", "x".repeat(1_572_864)),
  put("just too big", "x".repeat(1_572_864 - 12)),
  range("w"),
  remove("w", { prev_kv: true }),
  remove("w"),
  remove("w", { prev_kv: true, ...all }),
  remove(""),
  remove("b", { range_end: b64("a") }),
  remove("b", { range_end: b64("b") }),
  ...["1", "2", "3"].map((value) => put(`d/${value}`, value)),
  remove("d/", { range_end: b64("d/3") }),
  remove("d/", { range_end: b64("d0"), prev_kv: true }),
  remove("\0", { range_end: b64("\0"), prev_kv: true }),
  range("\0", all),
];

const operands = { VERSION: "version", CREATE: "create_revision", MOD: "mod_revision", LEASE: "lease" } as const;

const compares: readonly Step[] = [
  put("c/1", "m"),
  put("c/2", "m"),
  put("c/2", "n"),
  ...Object.entries(operands).flatMap(([target, operand]) =>
    results.map((result) =>
      txn({
        compare: [{ key: b64("c/1"), target, result, [operand]: "1" }],
        success: [opRange("c/1", { keys_only: true })],
      }),
    ),
  ),
  ...results.map((result) => txn({ compare: [{ key: b64("c/1"), target: "VALUE", result, value: b64("m") }] })),
  ...results.map((result) => txn({ compare: [{ key: b64("c/0"), target: "VALUE", result, value: "" }] })),
  ...results.map((result) => txn({ compare: [{ key: b64("c/0"), target: "VERSION", result, version: "0" }] })),
  ...results.map((result) =>
    txn({ compare: [{ key: b64("c/"), range_end: b64("c0"), target: "VERSION", result, version: "1" }] }),
  ),
  txn({ compare: [{ key: b64("z/"), range_end: b64("z0"), target: "VALUE", result: "EQUAL", value: b64("m") }] }),
  txn({ compare: [{ key: b64("c/1"), target: "VERSION", result: 9, version: "1" }] }),
  txn({ compare: [{ key: b64("c/1"), target: 9, result: "EQUAL" }] }),
  txn({ compare: [{ key: b64("c/1"), target: "VERSION", result: "EQUAL", value: b64("m") }] }),
  txn({ compare: [{ key: "", target: "VERSION", result: "EQUAL", version: "1" }] }),
  txn({
    compare: [
      { key: b64("c/1"), target: "VERSION", result: "EQUAL", version: "1" },
      { key: b64("c/2"), target: "VERSION", result: "EQUAL", version: "1" },
    ],
    success: [opPut("no")],
    failure: [opRange("c/2")],
  }),
];

const txns: readonly Step[] = [
  txn({}),
  txn({ success: [opPut("t/1"), opPut("t/2"), opRange("t/1"), opDelete("t/2", { prev_kv: true }), opRange("t/2")] }),
  txn({ success: [opRange("t/1", { revision: "3" }), opRange("t/1")] }),
  txn({ success: [opPut("t/1", { prev_kv: true }), opRange("t/", { range_end: b64("t0"), sort_order: "DESCEND" })] }),
  txn({ success: [opDelete("t/404")] }),
  txn({ success: [opRange("t/", { range_end: b64("t0"), count_only: true })] }),
  txn({ success: [opRange("t/", { range_end: b64("t0"), limit: "1", serializable: true })] }),
  txn({ success: [opPut("t/1"), opPut("t/1")] }),
  txn({ success: [opPut("t/1"), opDelete("t/", { range_end: b64("t0") })] }),
  txn({ success: [opDelete("t/1"), opDelete("t/1")] }),
  txn({ success: [opPut("t/1")], failure: [opPut("t/1")] }),
  txn({ success: [opPut("t/1"), opTxn({ success: [opPut("t/1")] })] }),
  txn({ success: [opTxn({ success: [opPut("t/1")], failure: [opPut("t/1")] })] }),
  txn({ success: [opTxn({ success: [opPut("t/1")] }), opTxn({ success: [opPut("t/1")] })] }),
  txn({ success: [opTxn({ failure: [opPut("t/1")] }), opDelete("t/1")] }),
  txn({ success: [opTxn({ success: [opTxn({ success: [opPut("t/deep"), opRange("t/deep")] })] })] }),
  txn({ success: [opPut("")] }),
  txn({ success: [opRange("")] }),
  txn({ success: [opDelete("")] }),
  txn({ success: [opTxn({ success: [opRange("")] })] }),
  txn({ success: [opRange("t/1", { sort_order: 9 })] }, { differs: "sort-option-checked" }),
  txn({ success: [opPut("t/1", { ignore_value: true })] }),
  txn({ success: [opPut("t/1", { ignore_value: true, value: "" }), opRange("t/1")] }),
  txn({ success: [opPut("t/missing", { ignore_value: true, lease: "4040", value: "" })] }),
  txn({ success: [opRange("t/1", { revision: "1000000" }), opPut("t/missing", { ignore_value: true, value: "" })] }),
  txn({ success: [opPut("t/1", { ignore_lease: true, lease: "2" })] }),
  txn({ success: [opPut("t/404", { ignore_lease: true })] }),
  txn({ success: [opPut("t/404", { lease: "404" })] }),
  txn({ failure: [opPut("t/404", { lease: "404" })] }),
  txn({ success: [opRange("t/1", { revision: "100000" })] }),
  txn({ success: [opPut("t/1"), opRange("t/1", { revision: "100000" })] }, { divides: true }),
  txn({ success: [{}] }),
  txn({ failure: [{}] }),
  txn({ success: [opTxn({ success: [{}] })] }),
  txn({ success: Array.from({ length: 128 }, (_, at) => opPut(`m/${at}`)) }),
  txn({ success: Array.from({ length: 129 }, (_, at) => opPut(`m/${at}`)) }),
  txn({ failure: Array.from({ length: 129 }, (_, at) => opPut(`m/${at}`)) }),
  txn({ compare: Array.from({ length: 129 }, () => ({ key: b64("a"), target: "VERSION", version: "0" })) }),
  txn({
    success: [opTxn({ success: Array.from({ length: 127 }, (_, at) => opRange(`m/${at}`, { keys_only: true })) })],
  }),
  txn({ success: [opTxn({ success: Array.from({ length: 128 }, (_, at) => opRange(`m/${at}`)) })] }),
  remove("m/", { range_end: b64("m0") }),
];

const compaction: readonly Step[] = [
  txn({ success: [opRange("f/1", { revision: "-1" })] }),
  txn({ success: [opRange("f/1", { revision: "-2" })] }),
  call("KV/Compact", { revision: "0" }),
  call("KV/Compact", { revision: "-1" }),
  call("KV/Compact", { revision: "1000000" }),
  call("KV/Compact", { revision: "10", physical: true }),
  call("KV/Compact", { revision: "10" }),
  call("KV/Compact", { revision: "9" }),
  call("KV/Compact", { revision: "0" }),
  range("f/1", { revision: "9" }),
  range("f/1", { revision: "10" }),
  range("f/1", { revision: "11", serializable: true }),
  txn({ success: [opRange("f/1", { revision: "9" })] }),
  txn({ success: [opRange("f/1", { revision: "-1" })] }),
  range("f/1", { revision: "-1" }),
  txn({ success: [opPut("x"), opRange("f/1", { revision: "9" })] }, { divides: true }),
  call("KV/Compact", { revision: "12" }),
  range("f/", { ...prefix, revision: "12" }),
];

const commands: readonly Step[] = [
  etcdctl("put foo bar"),
  etcdctl("put foo bar2 --prev-kv"),
  etcdctl("put foo --ignore-value"),
  etcdctl("put none x --ignore-lease"),
  etcdctl("put foo x --lease=123abc"),
  etcdctl("get foo"),
  etcdctl("get foo -w json"),
  etcdctl("get foo -w fields"),
  etcdctl("get foo --print-value-only"),
  etcdctl("get fo --prefix --keys-only"),
  etcdctl("get a z --limit=2 --order=DESCEND --sort-by=MODIFY"),
  etcdctl("get foo --rev=1"),
  etcdctl("get foo --rev=99999"),
  etcdctl("get foo --consistency=s"),
  etcdctl("get foo --count-only --from-key -w fields"),
  etcdctl("del foo --prev-kv"),
  etcdctl("del none"),
  etcdctl("compact 11"),
  etcdctl("compact 99999"),
];

export const kvScript: readonly Step[] = [
  ...fill,
  ...ranges,
  ...writes,
  ...compares,
  ...txns,
  ...compaction,
  ...commands,
];
