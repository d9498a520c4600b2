/**
 * Imports the keys of a snapshot, with their history, into an empty backend; each is validated before the store relies
 * on it.
 */
import type { DatabaseReader } from "../bbolt/database-reader.ts";
import { damagedDatabase } from "../bbolt/page-format.ts";
import type { BackendFiller } from "../mvcc/backend/backend.ts";
import { metaBucket, scheduledCompaction } from "../mvcc/index/open-index.ts";
import { encodeRevisionKey } from "../mvcc/revision.ts";
import { firstRevision, readChanges, readCompactionMarks, revisionMax } from "./read-changes.ts";

export type ImportedKeys = {
  /** Changes in the file: puts and deletions. */
  readonly changes: number;
  /** The revision at which the store starts. */
  readonly revision: number;
  /** Earlier revisions cannot be read; -1 when all can. */
  readonly compactedRevision: number;
};

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
  const marks = readCompactionMarks(database);
  const compacted = Math.max(-1, ...marks.values());
  let changes = 0;
  let latest = firstRevision;
  for (const { main, sub, tombstone, value } of readChanges(database, compacted)) {
    latest = main;
    empty.put(main, sub, tombstone, value);
    changes++;
    await empty.drain();
  }
  const found = Math.max(latest, compacted);
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
