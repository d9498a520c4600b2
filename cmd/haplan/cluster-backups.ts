/** The backups of a cluster that are in its directories, as they were verified when they were taken. */
import { listBackups } from "../../src/backup/backup-dir.ts";
import type { ListedBackup } from "../../src/backup/listed-backups.ts";
import { backupBucket, backupDirs } from "./backup-places.ts";
import type { CliContext } from "./cli-context.ts";
import type { Session } from "./session.ts";
import type { BackupEntry, ScheduledElsewhere } from "./views/backups-view.ts";

export type ClusterBackups = { readonly directories: readonly string[]; readonly backups: readonly ListedBackup[] };

/** Those of other clusters in the same directory are left out. A bucket is not asked. */
export function clusterBackups(context: CliContext, session: Session): ClusterBackups {
  const directories = backupDirs(context, session);
  const listed = directories.flatMap((directory) => listBackups(directory));
  return { directories, backups: listed.filter((backup) => isOf(session, backup)) };
}

/** Empty without a bucket. @throws HaplanError `backup/s3` */
export async function backupsInBucket(session: Session): Promise<readonly ListedBackup[]> {
  const listed = (await backupBucket(session)?.list()) ?? [];
  return listed.filter((backup) => isOf(session, backup));
}

function isOf({ spec }: Session, { manifest }: ListedBackup): boolean {
  return manifest === null || manifest.cluster === spec.name;
}

/** As it was verified when it was taken. */
export function recordedBackup({ path, fileBytes, manifest }: ListedBackup): BackupEntry {
  const shared = { path, fileBytes, problem: null };
  if (manifest === null) return { ...shared, facts: null, createdAt: null, verified: false };
  return { ...shared, facts: manifest, createdAt: manifest.createdAt, verified: true };
}

/** Null if the members take no backups by themselves, or into a bucket or a directory of this machine. */
export function scheduledElsewhere(session: Session): ScheduledElsewhere | null {
  const { controlPlane, backup } = session.spec;
  const directory = backup?.schedule?.directory;
  if (directory === undefined || session.provider.model.sharesFiles === true) return null;
  return { directory, masters: controlPlane.masters.map(({ name }) => name) };
}
