/**
 * Executes puts, deletes and transactions on the store, in two steps: first everything that can fail is checked on the
 * previous state, then the writes happen, and nothing can fail any more. A transaction that failed half-way would
 * leave members with different data (etcd panics there).
 */
import type { DeleteRangeRequest } from "../api/delete-range.ts";
import { decodeKeyValue, type EncodedKeyValue } from "../api/key-value.ts";
import type { PutRequest } from "../api/put.ts";
import { type RangeRequest, rangeRequest } from "../api/range.ts";
import type { ResponseHeader } from "../api/response-header.ts";
import { StatusCode } from "../api/status-code.ts";
import type { RequestOp, ResponseOp, TxnRequest } from "../api/txn.ts";
import { compareBytes, isOpenEnd } from "../mvcc/key-range.ts";
import type { ReadBudget, ReadView, WriteTransaction } from "../mvcc/store.ts";
import { chooseTxnPath, type TxnPath } from "./compare.ts";
import { type EtcdError, EtcdErrors, etcdError } from "./etcd-error.ts";
import type { LeaseTable } from "./lease-table.ts";

/**
 * The limit of the ranges and previous key-values of one request: its response is built in one piece, and on every
 * member.
 */
const responseBytesMax = 256 << 20;

/** For a read-only transaction. */
export const responseTooLarge: EtcdError = etcdError(
  StatusCode.resourceExhausted,
  "the response of the transaction is larger than 256 MiB: request less at a time",
);
/** For a request that writes. */
export const writtenWithoutResponse: EtcdError = etcdError(
  StatusCode.resourceExhausted,
  "the request was applied, but its response is larger than 256 MiB",
);

export function responseBudget(): ReadBudget {
  return { leftBytes: responseBytesMax };
}

/** Responses inside a transaction carry only a revision, nested transactions not even that. */
function innerHeader(revision: number): ResponseHeader {
  return { clusterId: 0n, memberId: 0n, revision, raftTerm: 0 };
}

/** The possible errors of a put outside a transaction; here etcd checks the lease first, in a txn the key. */
export function validatePut(view: ReadView, leases: LeaseTable, request: PutRequest): EtcdError | null {
  if (request.lease !== 0n && !leases.has(request.lease)) return EtcdErrors.leaseNotFound;
  return validateKey(view, request, []);
}

/**
 * `swept`: the keys from which on earlier operations have deleted all keys; etcd panics over what such a put would
 * keep.
 */
function validateKey(view: ReadView, request: PutRequest, swept: readonly Uint8Array[]): EtcdError | null {
  if (!request.ignoreValue && !request.ignoreLease) return null;
  const isGone = swept.some((from) => compareBytes(from, request.key) <= 0);
  return isGone || view.describe(request.key) === undefined ? EtcdErrors.keyNotFound : null;
}

/** Returns the previous key-value, if requested. The caller has ruled out errors of `validatePut`. */
export function executePut(txn: WriteTransaction, request: PutRequest): EncodedKeyValue | undefined {
  if (!request.prevKv && !request.ignoreValue && !request.ignoreLease) {
    txn.put(request.key, request.value, request.lease);
    return undefined;
  }
  const before = txn.get(request.key);
  const old = before === undefined ? undefined : decodeKeyValue(before);
  const value = request.ignoreValue && old !== undefined ? old.value : request.value;
  const lease = request.ignoreLease && old !== undefined ? old.lease : request.lease;
  txn.put(request.key, value, lease);
  return request.prevKv ? before : undefined;
}

export type Deleted = { readonly deleted: number; readonly prevKvs: readonly EncodedKeyValue[] };

export function executeDeleteRange(txn: WriteTransaction, request: DeleteRangeRequest, budget: ReadBudget): Deleted {
  const { key, rangeEnd } = request;
  const prevKvs = request.prevKv && budget.leftBytes >= 0 ? txn.range(rangeRequest(key, { rangeEnd }), budget).kvs : [];
  return { deleted: txn.deleteRange(key, rangeEnd), prevKvs };
}

/** True when every operation is a range: such a transaction needs no log entry. A nested one always needs one. */
export function isReadOnly(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].every((op) => op.kind === "range");
}

/** For a read-only transaction: true when all its ranges may be served without the leader. */
export function isSerializable(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].every((op) => op.kind !== "range" || op.request.serializable);
}

/** True when either branch may put something, at any depth: such a transaction needs space. */
export function mayPut(request: TxnRequest): boolean {
  return [...request.success, ...request.failure].some(
    (op) => op.kind === "put" || (op.kind === "txn" && mayPut(op.request)),
  );
}

export type TxnOutcome = { readonly succeeded: boolean; readonly responses: readonly ResponseOp[] };

/** A read-only transaction on the current state. */
export function readTxn(
  view: ReadView,
  request: TxnRequest,
  budget: ReadBudget = responseBudget(),
): TxnOutcome | EtcdError {
  const path = chooseTxnPath(view, request);
  const problem = validateRange(view, path);
  if (problem !== null) return problem;
  const responses = path.ops.map((op) => {
    if (op.kind !== "range") throw new Error("a read-only transaction contains a write");
    return rangeResponse(view, op.request, budget);
  });
  if (budget.leftBytes < 0) return responseTooLarge;
  return { succeeded: path.succeeded, responses };
}

/** Chooses the branches and checks everything; the path may then be executed. */
export function planTxn(view: ReadView, leases: LeaseTable, request: TxnRequest): TxnPath | EtcdError {
  const path = chooseTxnPath(view, request);
  return validateWrites(view, leases, path, []) ?? validateRange(view, path) ?? path;
}

/** Reads beyond the budget are missing in the response; the writes are made in any case. */
export function executeTxn(txn: WriteTransaction, path: TxnPath, budget: ReadBudget): TxnOutcome {
  const nested = path.nested.values();
  return {
    succeeded: path.succeeded,
    responses: path.ops.map((op) => executeOp(txn, op, budget, () => nested.next().value!)),
  };
}

function executeOp(txn: WriteTransaction, op: RequestOp, budget: ReadBudget, nextNested: () => TxnPath): ResponseOp {
  switch (op.kind) {
    case "range":
      return rangeResponse(txn, op.request, budget);
    case "put": {
      const prevKv = executePut(txn, op.request);
      budget.leftBytes -= prevKv?.length ?? 0;
      return { kind: "put", response: { header: innerHeader(txn.revision), prevKv } };
    }
    case "deleteRange": {
      const outcome = executeDeleteRange(txn, op.request, budget);
      return { kind: "deleteRange", response: { header: innerHeader(txn.revision), ...outcome } };
    }
    case "txn":
      return { kind: "txn", response: { header: innerHeader(0), ...executeTxn(txn, nextNested(), budget) } };
    case "none":
      return { kind: "none" };
  }
}

function rangeResponse(view: ReadView, request: RangeRequest, budget: ReadBudget): ResponseOp {
  // No response is returned at all.
  if (budget.leftBytes < 0)
    return { kind: "range", response: { header: innerHeader(0), kvs: [], more: false, count: 0 } };
  const { kvs, more, count } = view.range(request, budget);
  return { kind: "range", response: { header: innerHeader(view.revision), kvs, more, count } };
}

/** Only deletes to the end of the keyspace may be combined with a put of a key that they delete: see `checkTxn`. */
function validateWrites(view: ReadView, leases: LeaseTable, path: TxnPath, swept: Uint8Array[]): EtcdError | null {
  const nested = path.nested.values();
  for (const op of path.ops) {
    let problem: EtcdError | null = null;
    if (op.kind === "txn") problem = validateWrites(view, leases, nested.next().value!, swept);
    if (op.kind === "deleteRange" && isOpenEnd(op.request.rangeEnd)) swept.push(op.request.key);
    if (op.kind === "put") {
      const unknownLease = op.request.lease !== 0n && !leases.has(op.request.lease);
      problem = validateKey(view, op.request, swept) ?? (unknownLease ? EtcdErrors.leaseNotFound : null);
    }
    if (problem !== null) return problem;
  }
  return null;
}

function validateRange(view: ReadView, path: TxnPath): EtcdError | null {
  const nested = path.nested.values();
  for (const op of path.ops) {
    let problem: EtcdError | null = null;
    if (op.kind === "txn") problem = validateRange(view, nested.next().value!);
    if (op.kind === "range") problem = revisionError(view.revisionError(op.request.revision));
    if (problem !== null) return problem;
  }
  return null;
}

/** etcd's error for a revision that cannot be read. */
export function revisionError(problem: "compacted" | "future" | null): EtcdError | null {
  if (problem === null) return null;
  return problem === "compacted" ? EtcdErrors.compacted : EtcdErrors.futureRevision;
}
