/**
 * Where our replies are meant to differ from those of the etcd 3.4 that we are compared with. Each is described in
 * docs/etcd-differences.md under the same id; the functions here make the two replies comparable again.
 */
import type { JsonValue } from "@bufbuild/protobuf";

export type DifferenceId =
  | "alarm-header"
  | "auth-holes-closed"
  | "rights-before-addresses"
  | "root-role-shown"
  | "hash-revision"
  | "compacted-watch-forgotten"
  | "empty-range-granted"
  | "hash-at-compaction"
  | "hash-of-another-format"
  | "status-of-another-store"
  | "nested-puts-take-space"
  | "newer-api"
  | "learner-stays-learner"
  | "progress-without-watcher"
  | "sort-option-checked"
  | "login-with-token"
  | "token-without-auth"
  | "long-names"
  | "permission-replaced"
  | "negative-watch-start";

type Reply = Record<string, JsonValue>;

function without(...names: string[]): (reply: JsonValue) => JsonValue {
  return (reply) => {
    if (typeof reply !== "object" || reply === null || Array.isArray(reply)) return reply;
    return Object.fromEntries(Object.entries(reply as Reply).filter(([name]) => !names.includes(name)));
  };
}

const anything = (): JsonValue => "differs";

export const differences: Readonly<Record<DifferenceId, (reply: JsonValue) => JsonValue>> = {
  /** Later etcds put a header there. */
  "alarm-header": without("header"),
  "hash-revision": without("hash_revision"),
  "compacted-watch-forgotten": anything,
  "empty-range-granted": anything,
  "hash-at-compaction": anything,
  "hash-of-another-format": without("hash"),
  "status-of-another-store": without(
    "version",
    "dbSize",
    "dbSizeInUse",
    "dbSizeQuota",
    "raftIndex",
    "raftAppliedIndex",
    "storageVersion",
    "downgradeInfo",
  ),
  "auth-holes-closed": anything,
  "rights-before-addresses": anything,
  "root-role-shown": without("perm"),
  "nested-puts-take-space": anything,
  "newer-api": anything,
  "learner-stays-learner": anything,
  "progress-without-watcher": anything,
  "sort-option-checked": anything,
  "negative-watch-start": anything,
  "login-with-token": anything,
  "token-without-auth": anything,
  "long-names": anything,
  "permission-replaced": without("perm"),
};
