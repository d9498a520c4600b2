/** The backups of a cluster that are in its directories, as they were verified when they were taken. */
import { type ListedBackup, listBackups } from "../../src/backup/backup-dir.ts";
import { backupDir } from "./backup-places.ts";
import type { CliContext } from "./cli-context.ts";
import { snapshotDir } from "./cluster-files.ts";
import type { Session } from "./session.ts";
import type { BackupEntry } from "./views/backups-view.ts";

export type ClusterBackups = { readonly directories: readonly string[]; readonly backups: readonly ListedBackup[] };

/** Those of other clusters in the same directory are left out. */
export function clusterBackups(context: CliContext, session: Session): ClusterBackups {
  // Apply keeps its own snapshots where they were before the spec named a directory.
  const directories = [...new Set([backupDir(context, session), snapshotDir(session.directory)])];
  const backups = directories
    .flatMap((directory) => listBackups(directory))
    .filter(({ manifest }) => manifest === null || manifest.cluster === session.spec.name);
  return { directories, backups };
}

/** As it was verified when it was taken. */
export function recordedBackup({ path, fileBytes, manifest }: ListedBackup): BackupEntry {
  const shared = { path, fileBytes, problem: null };
  if (manifest === null) return { ...shared, facts: null, createdAt: null, verified: false };
  return { ...shared, facts: manifest, createdAt: manifest.createdAt, verified: true };
}
