/**
 * What kube-apiserver sends to its etcd: every request that its storage layer sends (k8s.io/apiserver
 * pkg/storage/etcd3: store.go, watcher.go, compact.go, lease_manager.go), in the order in which a small cluster would.
 * Begins with any state.
 */
import type { BodyFrom, ClusterFacts, Step, StreamAction } from "./conversation.ts";
import { b64, call, range, stream, txn } from "./script-words.ts";

const pods = { key: b64("/registry/pods/"), range_end: b64("/registry/pods0") };
const pod = (name: string): string => `/registry/pods/default/${name}`;
const get = (key: string): object => ({ request_range: { key: b64(key) } });

type Answer = { readonly header: { readonly revision: string }; readonly kvs?: readonly { mod_revision: string }[] };
const kept = (facts: ClusterFacts, name: string): Answer => facts.kept.get(name) as unknown as Answer;
/** The revision of an answer that was kept, as `resourceVersion` is. */
const revisionOf = (facts: ClusterFacts, name: string): string => kept(facts, name).header.revision;

/** `OptimisticPut` of a new object: only if it does not exist. */
const create = (key: string, value: string, more: { lease?: string } = {}): Step =>
  call("KV/Txn", {
    compare: [{ key: b64(key), target: "MOD", result: "EQUAL", mod_revision: "0" }],
    success: [{ request_put: { key: b64(key), value: b64(value), ...more } }],
  });
/** `OptimisticPut` and `OptimisticDelete`: only if it was not written since; otherwise returns the current object. */
const change = (key: string, seenAs: string, operation: object): Step =>
  call("KV/Txn", (facts) => ({
    compare: [
      { key: b64(key), target: "MOD", result: "EQUAL", mod_revision: kept(facts, seenAs).kvs?.[0]?.mod_revision },
    ],
    success: [operation],
    failure: [get(key)],
  }));
const update = (key: string, seenAs: string, value: string): Step =>
  change(key, seenAs, { request_put: { key: b64(key), value: b64(value) } });
const remove = (key: string, seenAs: string): Step => change(key, seenAs, { request_delete_range: { key: b64(key) } });

const objects: readonly Step[] = [
  call("Maintenance/Status", {}, { differs: "status-of-another-store" }),
  range("/registry/health"),
  range(pod("a"), { limit: "1" }),
  create(pod("a"), "a1"),
  create(pod("a"), "again"),
  create(pod("b"), "b1"),
  create(pod("c"), "c1"),
  create(pod("d"), "d1"),
  create("/registry/services/endpoints/default/kubernetes", "e1"),
  range(pod("a"), {}, { keep: "a" }),
  update(pod("a"), "a", "a2"),
  update(pod("a"), "a", "lost"),
  range(pod("b"), {}, { keep: "b" }),
  remove(pod("b"), "b"),
  remove(pod("b"), "b"),
  update(pod("b"), "b", "gone"),
  call("Lease/LeaseGrant", { TTL: "3660", ID: "8001" }),
  create("/registry/events/default/e.1", "event", { lease: "8001" }),
];

const page =
  (after: string, seenAs: string, more: object = {}): BodyFrom =>
  (facts) => ({
    ...pods,
    key: b64(`${after}\0`),
    limit: "2",
    revision: revisionOf(facts, seenAs),
    ...more,
  });

/** Pages of one list are read at the revision of the first, whatever is written meanwhile. */
const lists: readonly Step[] = [
  call("KV/Range", { ...pods, limit: "2" }, { keep: "page" }),
  create(pod("bb"), "written between two pages"),
  call("KV/Range", page(pod("c"), "page")),
  call("KV/Range", page(pod("d"), "page")),
  call("KV/Range", { ...pods, count_only: true }),
  call("KV/Range", { ...pods, keys_only: true }),
  call("KV/Range", { ...pods, limit: "500" }),
  call("KV/Range", (facts) => ({ ...pods, revision: revisionOf(facts, "a") })),
  call("KV/Range", (facts) => ({ ...pods, revision: String(Number(revisionOf(facts, "page")) + 1000) })),
  call("KV/Range", { key: b64("/registry/"), range_end: b64("/registry0"), serializable: true, limit: "1" }),
];

const watched = { metadata: { hasleader: "true" } };
const from = (seenAs: string): StreamAction => ({
  send: (facts) => ({
    create_request: {
      ...pods,
      start_revision: String(Number(revisionOf(facts, seenAs)) + 1),
      prev_kv: true,
      progress_notify: true,
    },
  }),
});
const progress: StreamAction = { send: { progress_request: {} } };
const doing = (step: Step): StreamAction => {
  if (step.kind !== "call") throw new Error("only calls are made while a stream is open");
  return { call: step };
};

const watches: readonly Step[] = [
  stream("Watch/Watch", [from("a"), { read: 1 }, { readEvents: 3 }, progress, { read: 1 }], watched),
  range("/registry/health", {}, { keep: "now" }),
  stream(
    "Watch/Watch",
    [
      from("now"),
      { read: 1 },
      doing(create(pod("w"), "w1")),
      { read: 1 },
      doing(create("/registry/elsewhere", "not watched")),
      // A consistent read from the cache waits for this answer; its revision is that of the write before.
      progress,
      { read: 1 },
      doing(txn({ success: [{ request_delete_range: { key: b64(pod("w")) } }] })),
      { read: 1 },
    ],
    watched,
  ),
];

const compactKey = "compact_rev_key";
const takeTurn = (version: string, keep: string): Step =>
  call(
    "KV/Txn",
    {
      compare: [{ key: b64(compactKey), target: "VERSION", result: "EQUAL", version }],
      success: [{ request_put: { key: b64(compactKey), value: b64("5") } }],
      failure: [get(compactKey)],
    },
    { keep },
  );

/** One apiserver of several compacts; the others see from the key's version that another one has. */
const compaction: readonly Step[] = [
  takeTurn("0", "turn"),
  takeTurn("0", "late"),
  takeTurn("1", "next"),
  call("KV/Compact", (facts) => ({ revision: revisionOf(facts, "page") })),
  call("KV/Compact", (facts) => ({ revision: revisionOf(facts, "page") })),
  call("KV/Range", page(pod("c"), "page")),
  call("KV/Range", page(pod("c"), "a")),
  stream("Watch/Watch", [from("a"), { read: 2 }], watched),
  stream("Watch/Watch", [from("page"), { read: 1 }, { readEvents: 3 }], watched),
];

/** Removes everything but the revisions. */
const end: readonly Step[] = [
  call("Lease/LeaseRevoke", { ID: "8001" }),
  call("KV/DeleteRange", { key: b64("/registry/"), range_end: b64("/registry0") }),
  call("KV/DeleteRange", { key: b64(compactKey) }),
];

export const apiserverScript: readonly Step[] = [...objects, ...lists, ...watches, ...compaction, ...end];
