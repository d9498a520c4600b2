/** Where the backups of a session's cluster are, and what they are encrypted with. */
import { resolve } from "node:path";
import { type BackupBucket, openBackupBucket, parseS3Url } from "../../src/backup/backup-bucket.ts";
import type { BackupSecret } from "../../src/backup/backup-cipher.ts";
import { readBackupSecret } from "../../src/backup/backup-secret.ts";
import type { CliContext } from "./cli-context.ts";
import { snapshotDir } from "./cluster-files.ts";
import type { Session } from "./session.ts";

/** The spec's directory, or the one that apply keeps its snapshots in: with a bucket, until they are uploaded. */
export function backupDir({ cwd }: CliContext, { spec, directory }: Session): string {
  return spec.backup?.directory === undefined ? snapshotDir(directory) : resolve(cwd, spec.backup.directory);
}

/** Directories of this machine with backups of the cluster. */
export function backupDirs(context: CliContext, session: Session): readonly string[] {
  // Apply keeps its own snapshots where they were before the spec named a directory.
  const own = [backupDir(context, session), snapshotDir(session.directory)];
  return [...new Set([...own, ...(session.provider.model.sharesFiles === true ? scheduledDir(session) : [])])];
}

function scheduledDir({ spec }: Session): readonly string[] {
  const directory = spec.backup?.schedule?.directory;
  return directory === undefined ? [] : [directory];
}

/** Null if backups are in a directory. The SDK is loaded with the first request. */
export function backupBucket({ spec }: Session): BackupBucket | null {
  const bucket = spec.backup?.s3;
  return bucket === undefined ? null : openBackupBucket({ bucket, cluster: spec.name, setting: "spec.backup.s3" });
}

/** The bucket of any object, with the access of the spec's. Null if it is no URL of an object. */
export function bucketOfUrl({ spec }: Session, url: string): BackupBucket | null {
  const object = parseS3Url(url);
  if (object === null) return null;
  const access = spec.backup?.s3 ?? { prefix: "", region: null, endpoint: null, forcePathStyle: false };
  const bucket = { ...access, bucket: object.Bucket };
  return openBackupBucket({ bucket, cluster: spec.name, setting: "spec.backup.s3" });
}

/** Null if backups are not encrypted. @throws HaplanError if there is no key */
export async function backupSecret({ cwd }: CliContext, { spec }: Session): Promise<BackupSecret | null> {
  const encryption = spec.backup?.encryption;
  return encryption === undefined ? null : readBackupSecret(encryption, cwd);
}
