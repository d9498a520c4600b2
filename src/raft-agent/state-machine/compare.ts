/** Conditions of a transaction, evaluated on the state before it (etcd `server/etcdserver/txn/txn.go`). */
import { type Compare, CompareResult, CompareTarget } from "../api/compare.ts";
import { decodeKeyValue } from "../api/key-value.ts";
import { rangeRequest } from "../api/range.ts";
import type { RequestOp, TxnRequest } from "../api/txn.ts";
import type { ReadView } from "../mvcc/store.ts";

/** The branches of a transaction and of those nested in the chosen branch, in the order of their operations. */
export type TxnPath = {
  readonly succeeded: boolean;
  readonly ops: readonly RequestOp[];
  readonly nested: readonly TxnPath[];
};

/** Evaluates all conditions up front, including those of nested transactions: none of them sees a write. */
export function chooseTxnPath(view: ReadView, request: TxnRequest): TxnPath {
  const succeeded = request.compare.every((compare) => holds(view, compare));
  const ops = succeeded ? request.success : request.failure;
  const nested = ops.flatMap((op) => (op.kind === "txn" ? [chooseTxnPath(view, op.request)] : []));
  return { succeeded, ops, nested };
}

/** The properties that a condition compares; all zero for an absent key. */
type Subject = {
  version: number;
  createRevision: number;
  modRevision: number;
  value: Uint8Array | null;
  lease: bigint;
};

const absent: Subject = { version: 0, createRevision: 0, modRevision: 0, value: null, lease: 0n };

function holds(view: ReadView, compare: Compare): boolean {
  if (compare.rangeEnd.length === 0 && compare.target !== CompareTarget.value) {
    const known = view.describe(compare.key);
    return holdsFor(compare, known === undefined ? absent : { ...known, value: null });
  }
  const { kvs } = view.range(rangeRequest(compare.key, { rangeEnd: compare.rangeEnd }));
  // An absent key has no value that could be equal or unequal to anything.
  if (kvs.length === 0) return compare.target !== CompareTarget.value && holdsFor(compare, absent);
  return kvs.every((kv) => holdsFor(compare, decodeKeyValue(kv)));
}

function holdsFor(compare: Compare, subject: Subject): boolean {
  const order = orderOf(compare, subject);
  switch (compare.result) {
    case CompareResult.equal:
      return order === 0;
    case CompareResult.notEqual:
      return order !== 0;
    case CompareResult.greater:
      return order > 0;
    case CompareResult.less:
      return order < 0;
    default:
      return true;
  }
}

/** Negative: the subject is less than the operand. An operand of another kind counts as the target's zero value. */
function orderOf(compare: Compare, subject: Subject): number {
  const { operand } = compare;
  switch (compare.target) {
    case CompareTarget.version:
      return subject.version - (operand.kind === "version" ? operand.number : 0);
    case CompareTarget.create:
      return subject.createRevision - (operand.kind === "createRevision" ? operand.number : 0);
    case CompareTarget.mod:
      return subject.modRevision - (operand.kind === "modRevision" ? operand.number : 0);
    case CompareTarget.value:
      return Buffer.compare(subject.value ?? noBytes, operand.kind === "value" ? operand.bytes : noBytes);
    case CompareTarget.lease: {
      const lease = operand.kind === "lease" ? operand.lease : 0n;
      return subject.lease === lease ? 0 : subject.lease < lease ? -1 : 1;
    }
    default:
      return 0;
  }
}

const noBytes = new Uint8Array(0);
