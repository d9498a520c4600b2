/** Snapshots that members are to be restored from: verified, and with a higher revision for tools that cannot raise it. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir } from "../base/durable-file.ts";
import { bumpedDatabase } from "../raft-agent/etcd-snapshot/bump-snapshot.ts";
import { openSnapshotFile } from "../raft-agent/etcd-snapshot/snapshot-file.ts";
import { verifyBackup, writeAll } from "./open-backup.ts";

/**
 * Reads the whole file as a restore would, and raises its revision unless `bumpRevision` is null.
 * @throws HaplanError `snapshot/hash`, `snapshot/no-hash`, `bbolt/damaged`
 */
export async function prepareSnapshot(
  path: string,
  bumpRevision: number | null,
): Promise<{ readonly revision: number; readonly keys: number }> {
  const { revision, keys } = await verifyBackup(path, async () => null);
  if (bumpRevision !== null) bumpSnapshotFile(path, revision + bumpRevision);
  return { revision, keys };
}

/** Replaces the file as a whole. `revision`: the new one. */
export function bumpSnapshotFile(path: string, revision: number): void {
  const aside = `${path}.${process.pid}.tmp`;
  using snapshot = openSnapshotFile(path, { skipHashCheck: false });
  try {
    const hash = createHash("sha256");
    const file = openSync(aside, "w", 0o600);
    try {
      for (const piece of bumpedDatabase(snapshot.database, revision)) {
        hash.update(piece);
        writeAll(file, piece);
      }
      writeAll(file, hash.digest());
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(aside, path);
    syncDir(dirname(path));
  } catch (error) {
    rmSync(aside, { force: true });
    throw error;
  }
}
