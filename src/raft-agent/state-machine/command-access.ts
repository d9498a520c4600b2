/**
 * Authorizes a command's caller where the command is applied: only there are users and roles the same on every member
 * (etcd server/etcdserver/apply/apply_auth.go). Only called while authentication is enabled; `commandTable` names the
 * rule of each kind.
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

/** The receiving member has authorized the caller, or the command is the member's own. */
export const checkedByReceiver: AccessRule = () => null;

export const rootOnly: AccessRule = (rules, caller) => rules.auth.checkAdmin(caller);

export const putAccess: AccessRule = (rules, caller, body) => checkPutAccess(rules, caller, decodePutRequest(body));

export const deleteRangeAccess: AccessRule = (rules, caller, body) =>
  checkOpAccess(rules, caller, { kind: "deleteRange", request: decodeDeleteRangeRequest(body) });

export const txnAccess: AccessRule = (rules, caller, body) => checkTxnAccess(rules, caller, decodeTxnRequest(body));

/** Expired leases are revoked by the leader, which is not a user. */
export const leaseRevokeAccess: AccessRule = (rules, caller, body) => {
  const { ids, leaderTerm } = decodeLeaseRevoke(body);
  return leaderTerm !== 0 ? null : firstError(ids, (id) => checkLeaseAccess(rules, caller, id));
};

/** Everything that a transaction may touch, in either branch and at any depth. */
export function checkTxnAccess(rules: AccessRules, caller: Caller | null, request: TxnRequest): EtcdError | null {
  return (
    firstError(request.compare, ({ key, rangeEnd }) => rules.auth.checkKeyAccess(caller, "read", key, rangeEnd)) ??
    firstError(request.success, (op) => checkOpAccess(rules, caller, op)) ??
    firstError(request.failure, (op) => checkOpAccess(rules, caller, op))
  );
}

/**
 * Checks that `caller` may write all keys attached to the lease; otherwise it could delete them by revoking the lease.
 */
function checkLeaseAccess(rules: AccessRules, caller: Caller | null, lease: LeaseId): EtcdError | null {
  if (lease === 0n || rules.auth.checkAdmin(caller) === null) return null;
  return firstError(rules.store.keysOfLease(lease), (key) =>
    rules.auth.checkKeyAccess(caller, "write", key, emptyBytes),
  );
}

function checkPutAccess(rules: AccessRules, caller: Caller | null, request: PutRequest): EtcdError | null {
  const { key, lease, prevKv } = request;
  return (
    rules.auth.checkKeyAccess(caller, "write", key, emptyBytes) ??
    checkLeaseAccess(rules, caller, lease) ??
    (prevKv ? rules.auth.checkKeyAccess(caller, "read", key, emptyBytes) : null)
  );
}

function checkOpAccess(rules: AccessRules, caller: Caller | null, op: RequestOp): EtcdError | null {
  switch (op.kind) {
    case "range":
      return rules.auth.checkKeyAccess(caller, "read", op.request.key, op.request.rangeEnd);
    case "put":
      return checkPutAccess(rules, caller, op.request);
    case "deleteRange": {
      const { key, rangeEnd, prevKv } = op.request;
      const read = prevKv ? rules.auth.checkKeyAccess(caller, "read", key, rangeEnd) : null;
      return read ?? rules.auth.checkKeyAccess(caller, "write", key, rangeEnd);
    }
    case "txn":
      return checkTxnAccess(rules, caller, op.request);
    case "none":
      return null;
  }
}

function firstError<Item>(items: Iterable<Item>, errorOf: (item: Item) => EtcdError | null): EtcdError | null {
  for (const item of items) {
    const fault = errorOf(item);
    if (fault !== null) return fault;
  }
  return null;
}
