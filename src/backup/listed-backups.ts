/** Backups in a list: their names, their order, and which of them the retention of the spec removes. Pure. */
import { join } from "node:path";
import type { BackupManifest } from "./backup-manifest.ts";

export type ListedBackup = {
  /** Of a backup in a bucket: its URL. */
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

export function isBackupName(name: string): boolean {
  return name.endsWith(plainExtension) || name.endsWith(sealedExtension);
}

export function newestFirst(
  found: readonly { readonly createdMs: number; readonly backup: ListedBackup }[],
): readonly ListedBackup[] {
  return found.toSorted((a, b) => b.createdMs - a.createdMs).map(({ backup }) => backup);
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
