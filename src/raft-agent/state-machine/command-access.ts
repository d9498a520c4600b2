/**
 * Whether a command's caller may do what it asks for, decided where the command is applied: only there are the users
 * and roles the same on every member (etcd server/etcdserver/apply/apply_auth.go). Only asked while authentication is on;
 * `commandTable` names the rule of each kind.
 */
import { decodeDeleteRangeRequest } from "../api/delete-range.ts";
import { decodePutRequest, type PutRequest } from "../api/put.ts";
import { decodeTxnRequest, type RequestOp, type TxnRequest } from "../api/txn.ts";
import { emptyBytes } from "../api/wire.ts";
import type { Store } from "../mvcc/store.ts";
import type { AuthStore } from "./auth-store.ts";
import type { Caller } from "./caller.ts";
import { decodeLeaseRevoke } from "./command-body.ts";
import type { EtcdError } from "./etcd-error.ts";
import type { LeaseId } from "./lease-table.ts";

type AccessRules = { readonly auth: AuthStore; readonly store: Store };

/** Null when a command with this body may run. */
export type AccessRule = (rules: AccessRules, caller: Caller | null, body: Uint8Array) => EtcdError | null;

/** The member that was asked has checked the caller, or the command is the member's own. */
export const checkedWhereAsked: AccessRule = () => null;

export const rootOnly: AccessRule = (rules, caller) => rules.auth.adminFault(caller);

export const putAccess: AccessRule = (rules, caller, body) => putFault(rules, caller, decodePutRequest(body));

export const deleteRangeAccess: AccessRule = (rules, caller, body) =>
  opFault(rules, caller, { kind: "deleteRange", request: decodeDeleteRangeRequest(body) });

export const txnAccess: AccessRule = (rules, caller, body) => txnFault(rules, caller, decodeTxnRequest(body));

/** Expired leases are revoked by the leader, which is no user. */
export const leaseRevokeAccess: AccessRule = (rules, caller, body) => {
  const { ids, leaderTerm } = decodeLeaseRevoke(body);
  return leaderTerm !== 0 ? null : firstFault(ids, (id) => leaseFault(rules, caller, id));
};

/** All that a transaction may touch, on either branch and at any depth. */
export function txnFault(rules: AccessRules, caller: Caller | null, request: TxnRequest): EtcdError | null {
  return (
    firstFault(request.compare, ({ key, rangeEnd }) => rules.auth.keyFault(caller, "read", key, rangeEnd)) ??
    firstFault(request.success, (op) => opFault(rules, caller, op)) ??
    firstFault(request.failure, (op) => opFault(rules, caller, op))
  );
}

/** May `caller` write all keys on the lease? Whoever may not could otherwise delete them by ending it. */
function leaseFault(rules: AccessRules, caller: Caller | null, lease: LeaseId): EtcdError | null {
  if (lease === 0n || rules.auth.adminFault(caller) === null) return null;
  return firstFault(rules.store.keysOfLease(lease), (key) => rules.auth.keyFault(caller, "write", key, emptyBytes));
}

function putFault(rules: AccessRules, caller: Caller | null, request: PutRequest): EtcdError | null {
  const { key, lease, prevKv } = request;
  return (
    rules.auth.keyFault(caller, "write", key, emptyBytes) ??
    leaseFault(rules, caller, lease) ??
    (prevKv ? rules.auth.keyFault(caller, "read", key, emptyBytes) : null)
  );
}

function opFault(rules: AccessRules, caller: Caller | null, op: RequestOp): EtcdError | null {
  switch (op.kind) {
    case "range":
      return rules.auth.keyFault(caller, "read", op.request.key, op.request.rangeEnd);
    case "put":
      return putFault(rules, caller, op.request);
    case "deleteRange": {
      const { key, rangeEnd, prevKv } = op.request;
      const read = prevKv ? rules.auth.keyFault(caller, "read", key, rangeEnd) : null;
      return read ?? rules.auth.keyFault(caller, "write", key, rangeEnd);
    }
    case "txn":
      return txnFault(rules, caller, op.request);
    case "none":
      return null;
  }
}

function firstFault<Item>(items: Iterable<Item>, faultOf: (item: Item) => EtcdError | null): EtcdError | null {
  for (const item of items) {
    const fault = faultOf(item);
    if (fault !== null) return fault;
  }
  return null;
}
