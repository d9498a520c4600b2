/** Raises the revision of a snapshot's file, for tools that cannot do it themselves. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncDir } from "../base/durable-file.ts";
import { bumpedDatabase } from "../raft-agent/etcd-snapshot/bump-snapshot.ts";
import { openSnapshotFile } from "../raft-agent/etcd-snapshot/snapshot-file.ts";
import { writeAll } from "./open-backup.ts";

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
