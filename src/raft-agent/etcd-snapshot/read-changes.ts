/**
 * The changes of keys in a snapshot, in the order of their revisions. Each is validated before anything relies on it: a
 * damaged file results in an error and never in a guess.
 */
import { errorText } from "../../base/haplan-error.ts";
import { decodeKeyValue, type KeyValue } from "../api/key-value.ts";
import type { DatabaseReader } from "../bbolt/database-reader.ts";
import { damagedDatabase } from "../bbolt/page-format.ts";
import { finishedCompaction, scheduledCompaction } from "../mvcc/index/open-index.ts";
import { mainOf, revisionKeyLength, subOf } from "../mvcc/revision.ts";
import { EtcdBucket, sharedMetaKeys } from "./etcd-buckets.ts";

type Revision = { readonly main: number; readonly sub: number; readonly tombstone: boolean };

/** `key` and `value` (the encoded key-value) are views: copy what is kept. */
export type SnapshotChange = Revision & { readonly key: Uint8Array; readonly value: Buffer };

const tombstoneMark = "t".charCodeAt(0);
/** A larger revision would not be exact. */
export const revisionMax: number = Number.MAX_SAFE_INTEGER;

/** The revision before the first change: a store starts with revision 1. */
export const firstRevision = 1;

/**
 * All changes of keys. `compacted`: the last compacted revision; etcd 3.6 leaves an entry without content where it has
 * bumped the revision, and the compaction mark has the same information.
 * @throws HaplanError `bbolt/damaged`, also half-way
 */
export function* readChanges(database: DatabaseReader, compacted: number): Generator<SnapshotChange> {
  let latest: Revision = { main: firstRevision, sub: -1, tombstone: false };
  for (const { key, value } of database.entries(EtcdBucket.key)) {
    const change = parseRevision(key);
    if (change.main < latest.main || (change.main === latest.main && change.sub <= latest.sub)) {
      throw damagedDatabase(`revision ${describe(change)} follows ${describe(latest)}`);
    }
    latest = change;
    if (value.length === 0 && change.main <= compacted) continue;
    yield { ...change, key: keyOf(change, value), value };
  }
}

/** The scheduled and the finished compaction. @throws HaplanError `bbolt/damaged` */
export function readCompactionMarks(database: DatabaseReader): Map<string, number> {
  const marks = new Map<string, number>();
  for (const { key, value } of database.entries(EtcdBucket.meta)) {
    const name = key.toString();
    if (!sharedMetaKeys.includes(name)) continue;
    if (value.length < revisionKeyLength) throw damagedDatabase(`${name} is not a revision`);
    marks.set(name, parseRevision(value.subarray(0, revisionKeyLength)).main);
  }
  const finished = marks.get(finishedCompaction);
  if (finished !== undefined && !marks.has(scheduledCompaction)) marks.set(scheduledCompaction, finished);
  return marks;
}

function parseRevision(key: Buffer): Revision {
  const tombstone = key.length === revisionKeyLength + 1 && key[revisionKeyLength] === tombstoneMark;
  if ((key.length !== revisionKeyLength && !tombstone) || key[8] !== "_".charCodeAt(0)) {
    throw damagedDatabase('the bucket "key" contains a key that is not a revision');
  }
  const main = mainOf(key);
  const sub = subOf(key);
  if (main > revisionMax || sub > revisionMax) throw damagedDatabase(`revision ${main} is too large`);
  return { main, sub, tombstone };
}

/** Validates the fields that the index reads at every start, and returns the key. */
function keyOf(change: Revision, value: Buffer): Uint8Array {
  let kv: KeyValue;
  try {
    kv = decodeKeyValue(value);
  } catch (error) {
    throw damagedDatabase(`the key-value of revision ${describe(change)} cannot be read: ${errorText(error)}`);
  }
  const fits =
    change.tombstone || (kv.modRevision === change.main && kv.version > 0 && kv.createRevision <= change.main);
  if (kv.key.length === 0 || !fits) {
    throw damagedDatabase(`the key-value of revision ${describe(change)} belongs to another revision`);
  }
  return kv.key;
}

function describe({ main, sub }: Revision): string {
  return `${main}/${sub}`;
}
