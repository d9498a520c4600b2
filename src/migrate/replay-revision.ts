/**
 * The request that makes the changes of one revision of the source once more. The copy has every revision before, and
 * nothing else writes to it, so the changes get the same revision there, in the same order. With it come the versions and
 * the revisions of creation. Pure.
 */
import { type Compare, CompareResult, CompareTarget } from "../raft-agent/api/compare.ts";
import { decodeKeyValue, type Event, EventType, type KeyValue } from "../raft-agent/api/key-value.ts";
import type { RequestOp, TxnRequest } from "../raft-agent/api/txn.ts";
import { emptyBytes } from "../raft-agent/api/wire.ts";

export type Change = { readonly deletes: boolean; readonly kv: KeyValue };

export type RevisionChanges = { readonly revision: number; readonly changes: readonly Change[] };

/** Groups events by revision. A response of a watch without fragments has whole revisions only. */
export function revisionsOf(events: readonly Event[]): readonly RevisionChanges[] {
  const revisions: { revision: number; changes: Change[] }[] = [];
  for (const { type, kv } of events) {
    if (kv === undefined) continue;
    const decoded = decodeKeyValue(kv);
    const change = { deletes: type === EventType.delete, kv: decoded };
    const last = revisions.at(-1);
    if (last?.revision === decoded.modRevision) last.changes.push(change);
    else revisions.push({ revision: decoded.modRevision, changes: [change] });
  }
  return revisions;
}

/** A key, or a range of keys that are all deleted. */
export type Deletion = { readonly key: Uint8Array; readonly rangeEnd: Uint8Array };

export type ReplayOptions = {
  /** The revision before this one, which must be there first; null if it is known to be. */
  readonly after: RevisionChanges | null;
  /** In place of the changes that delete: fewer operations with the same effect. */
  readonly deletions?: readonly Deletion[];
};

/**
 * The request does nothing when it arrives a second time, or before the revision that it follows: several may be under way at
 * once, and whatever is lost of them, what the copy has is the first of them without a gap.
 */
export function replayRequest(changed: RevisionChanges, { after, deletions }: ReplayOptions): TxnRequest {
  const { changes } = changed;
  const single = (change: Change): RequestOp =>
    change.deletes ? deletion({ key: change.kv.key, rangeEnd: emptyBytes }) : put(change.kv);
  const success =
    deletions === undefined
      ? changes.map(single)
      : [...changes.filter(({ deletes }) => !deletes).map(single), ...deletions.map(deletion)];
  return { compare: [...isNotMade(changed), ...(after === null ? [] : isMade(after))], success, failure: [] };
}

/** Holds before the changes of this revision, and not after them. */
function isNotMade({ revision, changes }: RevisionChanges): readonly Compare[] {
  const { deletes, kv } = changes[0]!;
  const isBefore = compareModified(kv.key, CompareResult.less, revision);
  return deletes ? [isBefore, compareCreated(kv.key, CompareResult.greater)] : [isBefore];
}

/** Holds after the changes of this revision, until the next ones. */
function isMade({ revision, changes }: RevisionChanges): readonly Compare[] {
  const { deletes, kv } = changes.at(-1)!;
  return deletes
    ? [compareCreated(kv.key, CompareResult.equal)]
    : [compareModified(kv.key, CompareResult.equal, revision)];
}

function compareModified(key: Uint8Array, result: number, revision: number): Compare {
  const operand = { kind: "modRevision", number: revision } as const;
  return { result, target: CompareTarget.mod, key, operand, rangeEnd: emptyBytes };
}

/** Greater than 0: the key exists. */
function compareCreated(key: Uint8Array, result: number): Compare {
  const operand = { kind: "createRevision", number: 0 } as const;
  return { result, target: CompareTarget.create, key, operand, rangeEnd: emptyBytes };
}

function put({ key, value, lease }: KeyValue): RequestOp {
  const request = { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { kind: "put", request };
}

function deletion({ key, rangeEnd }: Deletion): RequestOp {
  return { kind: "deleteRange", request: { key, rangeEnd, prevKv: false } };
}
