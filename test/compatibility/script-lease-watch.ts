/** Lease and Watch: options, orders of events, errors. Begins where the KV conversation ended. */
import type { ClusterFacts, Step, StreamAction } from "./conversation.ts";
import { b64, call, etcdctl, put, range, remove, stream, txn } from "./script-words.ts";

const grant = (body: object): Step => call("Lease/LeaseGrant", { ...body });
const keepAlive = (...ids: string[]): Step =>
  stream("Lease/LeaseKeepAlive", [
    ...ids.flatMap((ID): StreamAction[] => [{ send: { ID } }, { read: 1 }]),
    { finish: true },
  ]);

const leases: readonly Step[] = [
  grant({ TTL: "600", ID: "7001" }),
  grant({ TTL: "600", ID: "7001" }),
  ...["1", "0", "-5"].flatMap((TTL, at) => [
    grant({ TTL, ID: `${7002 + at}` }),
    call("Lease/LeaseRevoke", { ID: `${7002 + at}` }),
  ]),
  grant({ TTL: "9000000000", ID: "7005" }),
  grant({ TTL: "9000000001", ID: "7006" }),
  grant({ TTL: "700", ID: "-7007" }),
  put("l/1", "v", { lease: "7001" }),
  put("l/3", "v", { lease: "7001" }),
  put("l/2", "v", { lease: "7001" }),
  put("l/2", "v", { lease: "7005", prev_kv: true }),
  put("l/3", "w", { ignore_lease: true, prev_kv: true }),
  put("l/1", "", { ignore_value: true, prev_kv: true }),
  range("l/", { range_end: b64("l0") }),
  range("l/", { range_end: b64("l0"), keys_only: true }),
  txn({
    compare: [{ key: b64("l/2"), target: "LEASE", lease: "7005" }],
    success: [{ request_range: { key: b64("l/2") } }],
  }),
  txn({ success: [{ request_put: { key: b64("l/4"), value: b64("v"), lease: "7001" } }] }),
  call("Lease/LeaseTimeToLive", { ID: "7001", keys: true }),
  call("Lease/LeaseTimeToLive", { ID: "7001" }),
  call("Lease/LeaseTimeToLive", { ID: "7005", keys: true }),
  call("Lease/LeaseTimeToLive", { ID: "404", keys: true }),
  call("Lease/LeaseTimeToLive", { ID: "0" }),
  keepAlive("7001"),
  keepAlive("7001", "404", "7005", "7001"),
  keepAlive("404"),
  keepAlive(),
  call("Lease/LeaseRevoke", { ID: "404" }),
  call("Lease/LeaseRevoke", { ID: "0" }),
  call("Lease/LeaseRevoke", { ID: "7001" }),
  call("Lease/LeaseRevoke", { ID: "7001" }),
  range("l/", { range_end: b64("l0") }),
  call("Lease/LeaseRevoke", { ID: "7005" }),
  call("Lease/LeaseRevoke", { ID: "-7007" }),
  call("Lease/LeaseLeases", {}),
  grant({ TTL: "600", ID: "291" }),
  call("Lease/LeaseLeases", {}),
  etcdctl("lease timetolive 404"),
  etcdctl("lease keep-alive --once 404"),
  etcdctl("lease keep-alive --once 123"),
  etcdctl("put leased v --lease=123"),
  etcdctl("lease list"),
  etcdctl("lease revoke 123"),
  etcdctl("lease revoke 123"),
  etcdctl("lease grant 9000000001"),
];

const watch = (actions: readonly StreamAction[], options: object = {}): Step =>
  stream("Watch/Watch", actions, { ...options });
const create = (body: object): StreamAction => ({ send: { create_request: body } });
const cancel = (watch_id: string): StreamAction => ({ send: { cancel_request: { watch_id } } });
const progress: StreamAction = { send: { progress_request: {} } };
const all = { key: b64("w/"), range_end: b64("w0") };
const doing = (step: ReturnType<typeof put>): StreamAction => ({ call: step });
const revisionOf = (facts: ClusterFacts): number =>
  Number((facts.kept.get("revision") as { header: { revision: string } }).header.revision);
const from = (body: object, back: number) => (facts: ClusterFacts) => ({
  create_request: { ...body, start_revision: String(revisionOf(facts) + back) },
});

const watches: readonly Step[] = [
  watch([create(all), { read: 1 }, doing(put("w/1", "1")), { read: 1 }, doing(put("w/1", "2")), { read: 1 }]),
  watch([
    create({ ...all, prev_kv: true }),
    { read: 1 },
    doing(put("w/1", "3")),
    { read: 1 },
    doing(remove("w/1")),
    { read: 1 },
  ]),
  watch([create({ ...all, prev_kv: true }), { read: 1 }, doing(put("w/new", "1")), { read: 1 }]),
  watch([create({ ...all, filters: ["NOPUT"] }), { read: 1 }, doing(put("w/1")), doing(remove("w/1")), { read: 1 }]),
  watch([
    create({ ...all, filters: ["NODELETE"] }),
    { read: 1 },
    doing(put("w/1")),
    doing(remove("w/1")),
    doing(put("w/2")),
    { read: 2 },
  ]),
  watch([create({ ...all, filters: ["NOPUT", "NODELETE"] }), { read: 1 }, doing(put("w/1")), progress, { read: 1 }]),
  watch([
    create(all),
    { read: 1 },
    doing(
      txn({
        success: [
          { request_put: { key: b64("w/b") } },
          { request_put: { key: b64("w/a") } },
          { request_delete_range: { key: b64("w/1") } },
        ],
      }),
    ),
    { read: 1 },
  ]),
  watch([create(all), { read: 1 }, doing(remove("w/", { range_end: b64("w0") })), { read: 1 }]),
  watch([create({ key: b64("w/1") }), { read: 1 }, doing(put("w/2")), doing(put("w/1")), { read: 1 }]),
  watch([
    create({ key: b64("w/1"), range_end: b64("\0") }),
    { read: 1 },
    doing(put("w/2")),
    doing(put("x/1")),
    { read: 2 },
  ]),
  watch([create({ key: "", range_end: b64("\0") }), { read: 1 }, doing(put("a/1")), { read: 1 }]),
  watch([create({}), { read: 1 }]),
  watch([create({ key: b64("b"), range_end: b64("a") }), { read: 1 }]),
  watch([create({ key: b64("b"), range_end: b64("b") }), { read: 1 }, create(all), { read: 1 }]),
  watch([create(all), { read: 1 }, create(all), { read: 1 }, create({ key: b64("w/1") }), { read: 1 }]),
  watch([
    create({ ...all, watch_id: "7" }),
    { read: 1 },
    create({ ...all, watch_id: "7" }),
    { read: 1 },
    create(all),
    { read: 1 },
  ]),
  watch([create({ ...all, watch_id: "1" }), { read: 1 }, create(all), { read: 1 }, create(all), { read: 1 }]),
  watch([create({ ...all, watch_id: "-1" }), { read: 1 }]),
  watch([create(all), { read: 1 }, cancel("0"), { read: 1 }, doing(put("w/1")), create(all), { read: 1 }]),
  watch([cancel("404"), create(all), { read: 1 }]),
  watch([create(all), { read: 1 }, cancel("0"), { read: 1 }, cancel("0"), create(all), { read: 1 }]),
  watch([create(all), { read: 1 }, progress, { read: 1 }]),
  watch([create(all), { read: 1 }, doing(put("w/1")), { read: 1 }, progress, { read: 1 }]),
  watch([progress, create(all), { read: 1 }], { differs: "progress-without-watcher" }),
  watch([{ send: {} }, create(all), { read: 1 }]),
  put("w/history", "1", {}, { keep: "revision" }),
  put("w/history", "2"),
  remove("w/history"),
  put("w/history", "3"),
  watch([{ send: from(all, 0) }, { read: 1 }, { readEvents: 4 }, doing(put("w/history", "4")), { readEvents: 1 }]),
  watch([{ send: from({ ...all, prev_kv: true }, 0) }, { read: 1 }, { readEvents: 5 }]),
  watch([{ send: from({ ...all, filters: ["NODELETE"] }, 1) }, { read: 1 }, { readEvents: 3 }]),
  watch([{ send: from({ key: b64("w/history") }, 2) }, { read: 1 }, { readEvents: 3 }]),
  watch([
    { send: from(all, 7) },
    { read: 1 },
    doing(put("w/f", "1")),
    doing(put("w/f", "2")),
    doing(put("w/f", "3")),
    { readEvents: 1 },
  ]),
  watch([create({ ...all, start_revision: "1" }), { read: 2 }]),
  watch([create({ ...all, start_revision: "11" }), { read: 2 }]),
  watch([create({ ...all, start_revision: "-1" }), { read: 1 }], { differs: "negative-watch-start" }),
  watch([create({ ...all, start_revision: "1" }), { read: 2 }, create(all), { read: 1 }]),
  watch([create({ ...all, start_revision: "1" }), { read: 2 }, cancel("0"), create(all), { read: 1 }], {
    differs: "compacted-watch-forgotten",
  }),
  watch([create(all), { read: 1 }], { metadata: { hasleader: "true" } }),
  watch([
    create({ ...all, progress_notify: true, fragment: true }),
    { read: 1 },
    doing(put("w/1", "x".repeat(50_000))),
    { readEvents: 1 },
  ]),
  watch([
    create(all),
    { read: 1 },
    { call: call("Lease/LeaseGrant", { TTL: "600", ID: "300" }) },
    doing(put("w/l2", "", { lease: "300" })),
    doing(put("w/l1", "", { lease: "300" })),
    { read: 2 },
    { call: call("Lease/LeaseRevoke", { ID: "300" }) },
    { read: 1 },
  ]),
];

export const leaseScript: readonly Step[] = leases;
export const watchScript: readonly Step[] = watches;
