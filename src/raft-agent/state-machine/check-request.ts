/**
 * The checks of a request that do not need the data: those that etcd makes before it proposes
 * (server/etcdserver/api/v3rpc/key.go), in its order, since the first error is the one reported.
 */
import type { DeleteRangeRequest } from "../api/delete-range.ts";
import type { PutRequest } from "../api/put.ts";
import type { RangeRequest } from "../api/range.ts";
import type { RequestOp, TxnRequest } from "../api/txn.ts";
import { type EtcdError, EtcdErrors } from "./etcd-error.ts";

export function checkRange(request: RangeRequest): EtcdError | null {
  if (request.key.length === 0) return EtcdErrors.emptyKey;
  const valid = isWithin(request.sortOrder, 2) && isWithin(request.sortTarget, 4);
  return valid ? null : EtcdErrors.invalidSortOption;
}

export function checkPut(request: PutRequest): EtcdError | null {
  if (request.key.length === 0) return EtcdErrors.emptyKey;
  if (request.ignoreValue && request.value.length > 0) return EtcdErrors.valueProvided;
  return request.ignoreLease && request.lease !== 0n ? EtcdErrors.leaseProvided : null;
}

export function checkDeleteRange(request: DeleteRangeRequest): EtcdError | null {
  return request.key.length === 0 ? EtcdErrors.emptyKey : null;
}

/** Shape and size, then keys that one execution would write twice. */
export function checkTxn(request: TxnRequest, opsMax: number): EtcdError | null {
  const error = checkTxnShape(request, opsMax);
  if (error !== null) return error;
  const writesTwice = collectWrites(request.success) === null || collectWrites(request.failure) === null;
  return writesTwice ? EtcdErrors.duplicateKey : null;
}

function isWithin(value: number, max: number): boolean {
  return value >= 0 && value <= max;
}

function checkTxnShape(request: TxnRequest, opsMax: number): EtcdError | null {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) return EtcdErrors.tooManyOps;
  for (const compare of request.compare) if (compare.key.length === 0) return EtcdErrors.emptyKey;
  for (const branch of [request.success, request.failure]) {
    for (const op of branch) {
      const error = checkOp(op, opsMax - ops);
      if (error !== null) return error;
    }
  }
  return null;
}

function checkOp(op: RequestOp, opsMax: number): EtcdError | null {
  switch (op.kind) {
    case "range":
      return checkRange(op.request);
    case "put":
      return checkPut(op.request);
    case "deleteRange":
      return checkDeleteRange(op.request);
    case "txn":
      return checkTxnShape(op.request, opsMax);
    case "none":
      return EtcdErrors.keyNotFound;
  }
}

/**
 * The keys that a list of operations may write; as strings of one character per byte, so that they compare as bytes.
 */
type Writes = { readonly puts: Set<string>; readonly deletes: DeletedRange[] };
type DeletedRange = { readonly key: string; readonly end: string };

/** Null when some execution would write a key twice. Success and failure of a nested txn are mutually exclusive. */
function collectWrites(ops: readonly RequestOp[]): Writes | null {
  const deletes = ops.flatMap((op) => (op.kind === "deleteRange" ? [deletedRange(op.request)] : []));
  const puts = new Set<string>();
  for (const op of ops) {
    if (op.kind !== "txn") continue;
    const onSuccess = collectWrites(op.request.success);
    const onFailure = collectWrites(op.request.failure);
    if (onSuccess === null || onFailure === null) return null;
    for (const key of onSuccess.puts) if (puts.has(key) || isDeleted(key, deletes)) return null;
    for (const key of onFailure.puts) {
      if ((puts.has(key) && !onSuccess.puts.has(key)) || isDeleted(key, deletes)) return null;
    }
    for (const key of [...onSuccess.puts, ...onFailure.puts]) puts.add(key);
    deletes.push(...onSuccess.deletes, ...onFailure.deletes);
  }
  for (const op of ops) {
    if (op.kind !== "put") continue;
    const key = byteString(op.request.key);
    if (puts.has(key) || isDeleted(key, deletes)) return null;
    puts.add(key);
  }
  return { puts, deletes };
}

/**
 * etcd takes the end of "all keys from here on", a zero byte, literally here: for this check such a delete contains no
 * key, and a put beside it is allowed. Clients may rely on it, and the result is well defined: operations run in
 * order.
 */
function deletedRange(request: DeleteRangeRequest): DeletedRange {
  const key = byteString(request.key);
  return { key, end: request.rangeEnd.length === 0 ? `${key}\0` : byteString(request.rangeEnd) };
}

function isDeleted(key: string, deletes: readonly DeletedRange[]): boolean {
  return deletes.some((range) => key >= range.key && key < range.end);
}

function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
