/** Cluster, Maintenance and health: what a member reports about itself and the others. */
import type { ClusterFacts, Step } from "./conversation.ts";
import { call, etcdctl, put, stream } from "./script-words.ts";

const self = (facts: ClusterFacts): string => facts.leaderId;
const other = (facts: ClusterFacts): string =>
  [...facts.memberIds.values()].find((id) => id !== facts.leaderId) ?? facts.leaderId;
const addedId = (facts: ClusterFacts): string =>
  (facts.kept.get("added") as { member?: { ID: string } }).member?.ID ?? "404";

const alarms: readonly Step[] = [
  call("Maintenance/Alarm", {}, { differs: "alarm-header" }),
  call("Maintenance/Alarm", { action: "ACTIVATE", memberID: "5", alarm: "NOSPACE" }, { differs: "alarm-header" }),
  call("Maintenance/Alarm", { action: "ACTIVATE", memberID: "6", alarm: "NOSPACE" }, { differs: "alarm-header" }),
  call("Maintenance/Alarm", { action: "ACTIVATE", memberID: "5", alarm: "NOSPACE" }, { differs: "alarm-header" }),
  call("Maintenance/Alarm", {}, { differs: "alarm-header" }),
  call("Maintenance/Alarm", { memberID: "5" }, { differs: "alarm-header" }),
  call("Maintenance/Alarm", { alarm: "CORRUPT" }, { differs: "alarm-header" }),
  put("full", "x"),
  call("KV/Txn", { success: [{ request_put: { key: "Zg==" } }] }),
  call("KV/Txn", { failure: [{ request_put: { key: "Zg==" } }] }),
  call(
    "KV/Txn",
    { failure: [{ request_txn: { success: [{ request_put: { key: "Zg==" } }] } }] },
    { differs: "nested-puts-take-space" },
  ),
  call("KV/Txn", { success: [{ request_delete_range: { key: "Zg==" } }] }),
  call("KV/DeleteRange", { key: "Zg==" }),
  call("KV/Range", { key: "Zg==" }),
  call("Lease/LeaseGrant", { TTL: "600", ID: "9001" }),
  etcdctl("alarm list", { anyOrder: true }),
  etcdctl("put full x"),
  call("Maintenance/Alarm", { action: "DEACTIVATE", memberID: "5", alarm: "NOSPACE" }, { differs: "alarm-header" }),
  call("Maintenance/Alarm", { action: "DEACTIVATE", memberID: "5", alarm: "NOSPACE" }, { differs: "alarm-header" }),
  etcdctl("alarm disarm", { anyOrder: true }),
  etcdctl("alarm list", { anyOrder: true }),
  call("Maintenance/Alarm", { action: "ACTIVATE", memberID: "5", alarm: "CORRUPT" }, { differs: "alarm-header" }),
  put("corrupt", "x"),
  call("KV/Range", { key: "Zg==" }),
  call("KV/Range", { key: "Zg==", serializable: true }),
  call("KV/DeleteRange", { key: "Zg==" }),
  call("KV/Txn", { success: [{ request_range: { key: "Zg==" } }] }),
  call("KV/Compact", { revision: "20" }),
  call("Lease/LeaseGrant", { TTL: "600", ID: "9002" }),
  call("Lease/LeaseRevoke", { ID: "9002" }),
  call("Maintenance/Alarm", { action: "DEACTIVATE", memberID: "5", alarm: "CORRUPT" }, { differs: "alarm-header" }),
  call("Maintenance/Alarm", {}, { differs: "alarm-header" }),
  put("healthy again", "x"),
];

const hashes: readonly Step[] = [
  call("Maintenance/HashKV", {}, { differs: "hash-revision" }),
  call("Maintenance/HashKV", { revision: "30" }, { differs: "hash-revision" }),
  call("Maintenance/HashKV", { revision: "1000000" }),
  call("Maintenance/HashKV", { revision: "1" }),
  call("Maintenance/HashKV", { revision: "-1" }, { differs: "hash-revision" }),
  call("KV/Compact", { revision: "40", physical: true }),
  call("Maintenance/HashKV", { revision: "40" }, { differs: "hash-at-compaction" }),
  call("Maintenance/HashKV", { revision: "41" }, { differs: "hash-revision" }),
  call("Maintenance/Hash", {}, { differs: "hash-of-another-format" }),
  etcdctl("endpoint hashkv --rev=30", {}),
];

const operations: readonly Step[] = [
  call("Maintenance/Status", {}, { differs: "status-of-another-store" }),
  call("Maintenance/Defragment", {}),
  call("Maintenance/MoveLeader", { targetID: "404" }, { member: 0 }),
  call("Maintenance/MoveLeader", {}, { member: 0 }),
  call("Maintenance/MoveLeader", (facts) => ({ targetID: self(facts) }), { member: 0 }),
  call("Maintenance/Downgrade", { action: "VALIDATE", version: "3.5.0" }, { differs: "newer-api" }),
  call("Auth/AuthStatus", {}, { differs: "newer-api" }),
  stream("KV/RangeStream", [{ send: { key: "YQ==" } }, { read: 1 }], { differs: "newer-api" }),
  call("Health/Check", {}),
  call("Health/Check", { service: "etcdserverpb.KV" }),
  stream("Health/Watch", [{ send: {} }, { read: 1 }]),
  etcdctl("endpoint health"),
  etcdctl("defrag"),
  etcdctl("move-leader 404", { member: 0 }),
];

const members: readonly Step[] = [
  call("Cluster/MemberList", {}),
  call("Cluster/MemberList", { linearizable: true }),
  call("Cluster/MemberAdd", {}),
  call("Cluster/MemberAdd", { peerURLs: ["nonsense"] }),
  call("Cluster/MemberAdd", { peerURLs: ["http://"] }),
  call("Cluster/MemberAdd", { peerURLs: ["ftp://127.0.0.1:1"] }),
  call("Cluster/MemberAdd", { peerURLs: ["http://127.0.0.1"] }),
  call("Cluster/MemberAdd", { peerURLs: ["http://127.0.0.1:1/path"] }),
  call("Cluster/MemberRemove", { ID: "404" }),
  call("Cluster/MemberRemove", {}),
  call("Cluster/MemberUpdate", { ID: "404", peerURLs: ["http://127.0.0.1:1"] }),
  call("Cluster/MemberPromote", { ID: "404" }),
  call("Cluster/MemberPromote", (facts) => ({ ID: self(facts) })),
  call("Cluster/MemberPromote", (facts) => ({ ID: other(facts) })),
  etcdctl("member list", { anyOrder: true }),
  etcdctl("member list -w fields", { anyOrder: true }),
  etcdctl("member remove 404"),
  etcdctl("member promote 404"),
  etcdctl("member update 404 --peer-urls=http://127.0.0.1:1"),
];

/** Only with one member: the strict checks have no other member to wait for. */
const learner: readonly Step[] = [
  call("Cluster/MemberAdd", { peerURLs: ["http://127.77.24.250:1"], isLearner: true }, { keep: "added" }),
  call("Cluster/MemberAdd", (facts) => ({ peerURLs: [facts.peerUrls[0]], isLearner: true })),
  call("Cluster/MemberAdd", (facts) => ({ peerURLs: ["http://127.77.24.250:2", facts.peerUrls[0]] })),
  call("Cluster/MemberUpdate", (facts) => ({ ID: addedId(facts), peerURLs: [facts.peerUrls[0]] })),
  call("Cluster/MemberAdd", { peerURLs: ["http://127.77.24.250:2"], isLearner: true }),
  call("Cluster/MemberPromote", (facts) => ({ ID: addedId(facts) })),
  call("Maintenance/MoveLeader", (facts) => ({ targetID: addedId(facts) })),
  call("Cluster/MemberUpdate", (facts) => ({ ID: addedId(facts), peerURLs: ["http://127.77.24.250:3"] }), {
    differs: "learner-stays-learner",
  }),
  call("Cluster/MemberList", { linearizable: true }, { differs: "learner-stays-learner" }),
  call("Cluster/MemberRemove", (facts) => ({ ID: addedId(facts) })),
  call("Cluster/MemberRemove", (facts) => ({ ID: addedId(facts) })),
  call("Cluster/MemberPromote", (facts) => ({ ID: addedId(facts) })),
  call("Cluster/MemberList", { linearizable: true }),
];

/** Only with several members; the last step moves the leader, so that nothing may follow. */
const several: readonly Step[] = [
  call("Maintenance/MoveLeader", (facts) => ({ targetID: other(facts) }), { member: 1 }),
  call("Maintenance/MoveLeader", (facts) => ({ targetID: self(facts) }), { member: 2 }),
  call("Maintenance/MoveLeader", (facts) => ({ targetID: other(facts) }), { member: 0 }),
];

export const membersScript: readonly Step[] = [...operations, ...members, ...alarms, ...hashes];
export const singleMemberScript: readonly Step[] = learner;
export const severalMembersScript: readonly Step[] = several;
