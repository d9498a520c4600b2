/**
 * Imports the keys of a snapshot, with their history, into an empty backend; each is validated before the store relies
 * on it.
 */
import { errorText } from "../../base/haplan-error.ts";
import { decodeKeyValue, type KeyValue } from "../api/key-value.ts";
import type { DatabaseReader } from "../bbolt/database-reader.ts";
import { damagedDatabase } from "../bbolt/page-format.ts";
import type { BackendFiller } from "../mvcc/backend/backend.ts";
import { finishedCompaction, metaBucket, scheduledCompaction } from "../mvcc/index/open-index.ts";
import { encodeRevisionKey, mainOf, revisionKeyLength, subOf } from "../mvcc/revision.ts";
import { EtcdBucket, sharedMetaKeys } from "./etcd-buckets.ts";

export type ImportedKeys = {
  /** Changes in the file: puts and deletions. */
  readonly changes: number;
  /** The revision at which the store starts. */
  readonly revision: number;
  /** Earlier revisions cannot be read; -1 when all can. */
  readonly compactedRevision: number;
};

const tombstoneMark = "t".charCodeAt(0);
/** A larger revision would not be exact. */
const revisionMax = Number.MAX_SAFE_INTEGER;

type Change = { readonly main: number; readonly sub: number; readonly tombstone: boolean };

/**
 * With `bumpRevision` above 0 the store starts that much later, and everything before counts as compacted: a client
 * that still watches from a revision of the old cluster gets an error and lists again, instead of silently missing
 * changes. @throws HaplanError `bbolt/damaged`
 */
export async function importKeys(
  database: DatabaseReader,
  empty: BackendFiller,
  bumpRevision: number,
): Promise<ImportedKeys> {
  const marks = readMarks(database);
  const compacted = Math.max(-1, ...marks.values());
  let changes = 0;
  let latest: Change = { main: 1, sub: -1, tombstone: false };
  for (const { key, value } of database.entries(EtcdBucket.key)) {
    const change = parseRevision(key);
    if (change.main < latest.main || (change.main === latest.main && change.sub <= latest.sub)) {
      throw damagedDatabase(`revision ${describe(change)} follows ${describe(latest)}`);
    }
    latest = change;
    // etcd 3.6 leaves an entry without content where it has bumped the revision; the compaction mark has the same
    // information.
    if (value.length === 0 && change.main <= compacted) continue;
    checkChange(change, value);
    empty.put(change.main, change.sub, change.tombstone, value);
    changes++;
    await empty.drain();
  }
  const found = Math.max(latest.main, compacted);
  if (found + bumpRevision > revisionMax) {
    throw damagedDatabase(`revision ${found} cannot be bumped by ${bumpRevision}: the result would not be exact`);
  }
  if (bumpRevision > 0) marks.set(scheduledCompaction, found + bumpRevision);
  for (const [name, revision] of marks) empty.putMetadata(metaBucket, name, encodeRevisionKey(revision, 0));
  return {
    changes,
    revision: found + bumpRevision,
    compactedRevision: bumpRevision > 0 ? found + bumpRevision : compacted,
  };
}

/** The scheduled and the finished compaction. */
function readMarks(database: DatabaseReader): Map<string, number> {
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

function parseRevision(key: Buffer): Change {
  const tombstone = key.length === revisionKeyLength + 1 && key[revisionKeyLength] === tombstoneMark;
  if ((key.length !== revisionKeyLength && !tombstone) || key[8] !== "_".charCodeAt(0)) {
    throw damagedDatabase('the bucket "key" contains a key that is not a revision');
  }
  const main = mainOf(key);
  const sub = subOf(key);
  if (main > revisionMax || sub > revisionMax) throw damagedDatabase(`revision ${main} is too large`);
  return { main, sub, tombstone };
}

/** Validates the fields that the index reads at every start. */
function checkChange(change: Change, value: Buffer): void {
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
}

function describe({ main, sub }: Change): string {
  return `${main}/${sub}`;
}
