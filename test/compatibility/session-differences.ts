/** Which of the intended differences random sessions may meet, and what is left out so that the two stay equal. */
import type { JsonValue } from "@bufbuild/protobuf";
import type { CallStep, StreamStep } from "./conversation.ts";
import { type DifferenceId, differences } from "./differences.ts";
import type { RandomCall } from "./random-kv.ts";

/** The versions of etcd with which sessions are run. */
export type SessionEtcd = "3.4" | "3.6" | "3.7";

/** `auth-holes-closed`; for the last one ours checks the rights first (`rights-before-addresses`). */
const onlyForRoot = new Set([
  "KV/Compact",
  "Lease/LeaseGrant",
  "Lease/LeaseRevoke",
  "Lease/LeaseTimeToLive",
  "Lease/LeaseLeases",
  "Lease/LeaseKeepAlive",
  "Cluster/MemberList",
  "Maintenance/Status",
  "Maintenance/Alarm",
  "Maintenance/HashKV",
  "Cluster/MemberAdd",
]);

/**
 * What only root may call while authentication is on: an etcd 3.4 would do it for others too, and hold other data from
 * then on. It does not check nested transactions, nor what a transaction's puts read and which lease they use.
 */
export function isOnlyForRoot({ method, body }: RandomCall, etcd: SessionEtcd): boolean {
  if (etcd !== "3.4") return method === "Cluster/MemberAdd";
  if (method === "KV/Txn") return /"(request_txn|prev_kv|lease)"/.test(JSON.stringify(body));
  return onlyForRoot.has(method);
}

/** While there is an alarm, an etcd rejects writes before it checks rights, and 3.4 does not check them at all. */
export function endsChecks({ method, body }: RandomCall): boolean {
  return method === "Maintenance/Alarm" && body["action"] === "ACTIVATE";
}

/**
 * A follower of an etcd 3.4 does not pass the caller of a forwarded call to the leader, and waits in vain for
 * permission.
 */
export function isOnlyForLeader({ method }: RandomCall, etcd: SessionEtcd): boolean {
  return etcd === "3.4" && method === "Cluster/MemberPromote";
}

type Hash = { readonly hash?: number; readonly hash_revision?: string; readonly compact_revision?: string };

/**
 * `hash-at-compaction`, `hash-of-no-revision`: an etcd 3.4 returns no hash of the compacted revision, and later ones
 * return those that they computed during compactions, of each as it was before; and after a compaction, later ones
 * treat a key as deleted that the hashed revision deletes and puts again; sessions are not checked for that.
 */
export function isHashOfCompacted(
  replies: readonly JsonValue[],
  compacted: ReadonlySet<string>,
  etcd: SessionEtcd,
): boolean {
  const isBehindCompaction = ({ compact_revision = "0" }: Hash): boolean =>
    etcd !== "3.4" && Number(compact_revision) > 0;
  return (replies as readonly Hash[]).some(
    (reply) => reply.hash !== undefined && (compacted.has(reply.hash_revision ?? "0") || isBehindCompaction(reply)),
  );
}

const differing: Readonly<Record<string, { readonly id: DifferenceId; readonly versions: readonly SessionEtcd[] }>> = {
  "Maintenance/Alarm": { id: "alarm-header", versions: ["3.4"] },
  "Maintenance/HashKV": { id: "hash-revision", versions: ["3.4"] },
  "Maintenance/Status": { id: "status-of-another-store", versions: ["3.4", "3.6", "3.7"] },
};

/** What may be wrong with an operation of a transaction. */
const problem =
  /^etcdserver: (key not found|requested lease not found|mvcc: required revision (has been compacted|is a future revision))$/;

/** The parts of a reply that must be equal. `first-problem`: which of several is reported is left open. */
export function comparableReply(
  step: CallStep | StreamStep,
  reply: JsonValue,
  { member, etcd }: { readonly member: number; readonly etcd: SessionEtcd },
): JsonValue {
  const { leases } = reply as { leases?: { ID: string }[] };
  // Followers do not know which lease ends first.
  if (leases !== undefined && member > 0) return leases.map(({ ID }) => ID).toSorted();
  if (etcd !== "3.4" && step.method === "KV/Txn" && problem.test((reply as { text?: string }).text ?? ""))
    return "refused";
  if (etcd === "3.7" && step.method.startsWith("KV/")) return withoutLeases(reply);
  const difference = differing[step.method];
  return difference?.versions.includes(etcd) ? differences[difference.id](reply) : reply;
}

/** `keys-without-lease`: of keys without a value, which those of a range of keys only are. */
function withoutLeases(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(withoutLeases);
  if (typeof value !== "object" || value === null) return value;
  const isBareKey = "mod_revision" in value && !("value" in value);
  const fields = Object.entries(value).filter(([name]) => !(isBareKey && name === "lease"));
  return Object.fromEntries(fields.map(([name, inner]) => [name, withoutLeases(inner)]));
}
