/** Which of the intended differences random sessions may come upon, and what is left out so that the two stay alike. */
import type { JsonValue } from "@bufbuild/protobuf";
import type { CallStep, StreamStep } from "./conversation.ts";
import { DIFFERENCES, type DifferenceId } from "./differences.ts";
import type { RandomCall } from "./random-kv.ts";

/** `auth-holes-closed`; of the last one ours looks at the rights first (`rights-before-addresses`). */
const ONLY_FOR_ROOT = new Set([
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
 * What only root is to ask for while authentication is on: an etcd 3.4 would do it for others too, and hold other data
 * from then on. It overlooks what nested transactions do, and what a transaction's puts read and attach themselves to.
 */
export function isOnlyForRoot({ method, body }: RandomCall): boolean {
  if (method === "KV/Txn") return /"(request_txn|prev_kv|lease)"/.test(JSON.stringify(body));
  return ONLY_FOR_ROOT.has(method);
}

/** While there is an alarm, an etcd 3.4 asks nobody for rights. */
export function endsChecks({ method, body }: RandomCall): boolean {
  return method === "Maintenance/Alarm" && body["action"] === "ACTIVATE";
}

/** A follower of an etcd 3.4 does not tell the leader whose call it forwards, and waits in vain to be let in. */
export function isOnlyForLeader({ method }: RandomCall): boolean {
  return method === "Cluster/MemberPromote";
}

type Hash = { readonly hash?: number; readonly hash_revision?: string; readonly compact_revision?: string };

/** `hash-at-compaction`: an etcd 3.4 gives none of that revision. */
export function isHashOfCompacted(reply: JsonValue): boolean {
  const { hash_revision, compact_revision } = reply as Hash;
  return hash_revision !== undefined && hash_revision === compact_revision;
}

/**
 * `hash-at-compaction`: an etcd 3.4 has dropped the tombstone that may have been there. It shows in hashes of later
 * revisions that have no key at all, since then nothing is left out of the hash.
 */
export function areHashesApart(own: JsonValue, real: JsonValue): boolean {
  const { hash, compact_revision = "-1" } = own as Hash;
  return hash !== undefined && compact_revision !== "-1" && hash !== (real as Hash).hash;
}

const DIFFERING: Readonly<Record<string, DifferenceId>> = {
  "Maintenance/Alarm": "alarm-header",
  "Maintenance/HashKV": "hash-revision",
  "Maintenance/Status": "status-of-another-store",
};

/** Followers do not know which lease ends first. */
export function comparableReply(step: CallStep | StreamStep, reply: JsonValue, member: number): JsonValue {
  const { leases } = reply as { leases?: { ID: string }[] };
  if (leases !== undefined && member > 0) return leases.map(({ ID }) => ID).toSorted();
  const difference = DIFFERING[step.method];
  return difference === undefined ? reply : DIFFERENCES[difference](reply);
}
