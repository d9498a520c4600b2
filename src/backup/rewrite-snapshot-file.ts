/** Replaces a snapshot's file by a changed one, for what the tools that restore it cannot do themselves. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir } from "../base/durable-file.ts";
import type { DatabaseReader } from "../raft-agent/bbolt/database-reader.ts";
import { bumpedDatabase } from "../raft-agent/etcd-snapshot/bump-snapshot.ts";
import { withExtendedLeases } from "../raft-agent/etcd-snapshot/extend-leases.ts";
import { openSnapshotFile } from "../raft-agent/etcd-snapshot/snapshot-file.ts";
import { writeAll } from "./open-backup.ts";

/** `revision`: the new one. */
export function bumpSnapshotFile(path: string, revision: number): void {
  rewriteSnapshotFile(path, (database) => bumpedDatabase(database, revision));
}

/** No lease expires within an hour of the restore. */
export function extendLeasesInFile(path: string): void {
  rewriteSnapshotFile(path, withExtendedLeases);
}

/** The file is replaced as a whole. */
function rewriteSnapshotFile(path: string, rewrite: (database: DatabaseReader) => Iterable<Uint8Array>): void {
  const aside = `${path}.${process.pid}.tmp`;
  using snapshot = openSnapshotFile(path, { skipHashCheck: false });
  try {
    const hash = createHash("sha256");
    const file = openSync(aside, "w", 0o600);
    try {
      for (const piece of rewrite(snapshot.database)) {
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
