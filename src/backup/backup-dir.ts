/** A directory of backups: names, the list, and which of them the retention of the spec removes. */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { syncDir } from "../base/durable-file.ts";
import { systemErrorCode } from "../base/haplan-error.ts";
import type { BackupSecret } from "./backup-cipher.ts";
import { type BackupManifest, type BackupOrigin, digestPath, manifestPath, readManifest } from "./backup-manifest.ts";
import { writeBackup } from "./write-backup.ts";

export type KeptSnapshot = { readonly path: string; readonly sha256: string; readonly sizeBytes: number };

/** Where apply keeps snapshots before it changes the membership. */
export type SnapshotDir = {
  /**
   * Writes a verified backup under a new name. @throws HaplanError `backup/damaged` and others of `verifyBackup`; nothing
   * is kept then.
   */
  keep(name: string, pieces: AsyncIterable<Uint8Array>): Promise<KeptSnapshot>;
};

export type ListedBackup = {
  readonly path: string;
  readonly fileBytes: number;
  /** Null without a manifest that describes the file. */
  readonly manifest: BackupManifest | null;
};

/** Both absent: nothing is removed. */
export type Retention = { readonly count?: number | undefined; readonly maxAgeDays?: number | undefined };

const plainExtension = ".db";
const sealedExtension = ".db.enc";
const dayMs = 86_400_000;

/** The time in a name that sorts as it passes. */
export function timeName(nowMs: number): string {
  return new Date(nowMs).toISOString().replaceAll(":", "-");
}

export function backupPath(directory: string, name: string, encrypted: boolean): string {
  return join(directory, `${name}${encrypted ? sealedExtension : plainExtension}`);
}

export type SnapshotDirOptions = {
  readonly directory: string;
  readonly origin: BackupOrigin;
  readonly secret: () => Promise<BackupSecret | null>;
  readonly now: () => number;
};

export function createSnapshotDir({ directory, origin, secret: ask, now }: SnapshotDirOptions): SnapshotDir {
  return {
    keep: async (name, pieces) => {
      const secret = await ask();
      const path = backupPath(directory, name, secret !== null);
      const written = await writeBackup(pieces, { path, secret, createdAtMs: now(), origin: () => origin });
      return { path, sha256: written.fileSha256, sizeBytes: written.fileBytes };
    },
  };
}

/** The backups in a directory, the newest first; none if it does not exist. */
export function listBackups(directory: string): readonly ListedBackup[] {
  const found = entriesOf(directory)
    .filter((name) => name.endsWith(plainExtension) || name.endsWith(sealedExtension))
    .map((name) => join(directory, name));
  return found
    .flatMap((path) => {
      const facts = statSync(path, { throwIfNoEntry: false });
      if (facts === undefined || !facts.isFile()) return [];
      const manifest = readManifest(path);
      const createdMs = manifest === null ? facts.mtimeMs : Date.parse(manifest.createdAt);
      return [{ path, fileBytes: facts.size, manifest, createdMs }];
    })
    .sort((a, b) => b.createdMs - a.createdMs)
    .map(({ createdMs: _, ...listed }) => listed);
}

/**
 * Which backups of this cluster are to go. The newest one never is, whatever its age; backups without a manifest and
 * those of other clusters are left alone.
 */
export function expiredBackups(
  listed: readonly ListedBackup[],
  cluster: string,
  { count, maxAgeDays }: Retention,
  nowMs: number,
): readonly string[] {
  const own = listed.filter(({ manifest }) => manifest?.cluster === cluster);
  const isOld = ({ manifest }: ListedBackup): boolean =>
    maxAgeDays !== undefined && nowMs - Date.parse(manifest!.createdAt) > maxAgeDays * dayMs;
  return own
    .filter((backup, place) => place > 0 && ((count !== undefined && place >= count) || isOld(backup)))
    .map(({ path }) => path);
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
