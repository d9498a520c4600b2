/** A directory of backups: what is written into it, what is in it, and what is removed from it. */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { syncDir } from "../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../base/haplan-error.ts";
import type { BackupBucket } from "./backup-bucket.ts";
import type { BackupSecret } from "./backup-cipher.ts";
import { type BackupOrigin, digestPath, manifestPath, readManifest } from "./backup-manifest.ts";
import { backupPath, isBackupName, type ListedBackup, newestFirst } from "./listed-backups.ts";
import { writeBackup } from "./write-backup.ts";

export type KeptSnapshot = {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Why it is here and not in the bucket where it belongs; absent if it is where it belongs. */
  readonly notUploaded?: HaplanError;
};

/** Where apply keeps snapshots before it changes the membership. */
export type SnapshotDir = {
  /**
   * Writes a verified backup under a new name. @throws HaplanError `backup/damaged` and others of `verifyBackup`; nothing
   * is kept then.
   */
  keep(name: string, pieces: AsyncIterable<Uint8Array>): Promise<KeptSnapshot>;
};

export type SnapshotDirOptions = {
  readonly directory: string;
  readonly origin: BackupOrigin;
  readonly secret: () => Promise<BackupSecret | null>;
  readonly now: () => number;
  /** Where verified backups belong; null: in the directory. */
  readonly bucket: BackupBucket | null;
};

export function createSnapshotDir({ directory, origin, secret: ask, now, bucket }: SnapshotDirOptions): SnapshotDir {
  return {
    keep: async (name, pieces) => {
      const secret = await ask();
      const path = backupPath(directory, name, secret !== null);
      const written = await writeBackup(pieces, { path, secret, createdAtMs: now(), origin: () => origin });
      const kept = { path, sha256: written.fileSha256, sizeBytes: written.fileBytes };
      if (bucket === null) return kept;
      try {
        const url = await bucket.upload(path);
        removeBackup(directory, path);
        return { ...kept, path: url };
      } catch (error) {
        if (error instanceof HaplanError) return { ...kept, notUploaded: error };
        throw error;
      }
    },
  };
}

/** The backups in a directory, the newest first; none if it does not exist. */
export function listBackups(directory: string): readonly ListedBackup[] {
  const found = entriesOf(directory)
    .filter(isBackupName)
    .map((name) => join(directory, name));
  return newestFirst(
    found.flatMap((path) => {
      const facts = statSync(path, { throwIfNoEntry: false });
      if (facts === undefined || !facts.isFile()) return [];
      const manifest = readManifest(path);
      const createdMs = manifest === null ? facts.mtimeMs : Date.parse(manifest.createdAt);
      return [{ createdMs, backup: { path, fileBytes: facts.size, manifest } }];
    }),
  );
}

/** With what belongs to it. */
export function removeBackup(directory: string, path: string): void {
  for (const file of [path, digestPath(path), manifestPath(path)]) rmSync(file, { force: true });
  syncDir(directory);
}

function entriesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}
