/**
 * The result of applying an entry, for the caller that waits for it on the proposing member. The service fills in the
 * response header: it knows the ids and the term, the state machine only the revision.
 */
import type { EncodedKeyValue } from "../api/key-value.ts";
import type { TxnResponse } from "../api/txn.ts";
import type { MemberId } from "../raft/entry.ts";
import type { EtcdError } from "./etcd-error.ts";
import type { LeaseId } from "./lease-table.ts";

/** etcdserverpb.AlarmType. */
export const AlarmType = { none: 0, noSpace: 1, corrupt: 2 } as const;
export type AlarmType = (typeof AlarmType)[keyof typeof AlarmType];

const alarmNames: readonly string[] = ["NONE", "NOSPACE", "CORRUPT"];

/** As in protobuf's text format: a type without a name is its number. */
export function alarmName(type: AlarmType): string {
  return alarmNames[type] ?? String(type);
}

export type Alarm = { readonly member: MemberId; readonly type: AlarmType };

/** `revision` is the store's, right after the entry. */
export type Applied = { readonly revision: number } & (
  | { readonly kind: "put"; readonly prevKv: EncodedKeyValue | undefined }
  | { readonly kind: "deleteRange"; readonly deleted: number; readonly prevKvs: readonly EncodedKeyValue[] }
  | { readonly kind: "txn"; readonly succeeded: boolean; readonly responses: TxnResponse["responses"] }
  /** `scrubbed` resolves once the backend has dropped the compacted revisions. */
  | { readonly kind: "compact"; readonly scrubbed: Promise<void> }
  | { readonly kind: "leaseGrant"; readonly id: LeaseId; readonly ttlSeconds: number }
  /** Every member knows `simpleToken`; another kind of token must contain `authRevision`. */
  | {
      readonly kind: "login";
      readonly user: string;
      readonly simpleToken: string;
      readonly authRevision: number;
    }
  | { readonly kind: "alarm"; readonly alarms: readonly Alarm[] }
  | { readonly kind: "done" }
);

export type ApplyResult = Applied | EtcdError;
