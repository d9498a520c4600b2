/** `haplan backups [SPEC]`: lists the backups of a cluster, and verifies them on request. */

import type { ListedBackup } from "../../../src/backup/listed-backups.ts";
import { type BackupFacts, verifyBackup } from "../../../src/backup/open-backup.ts";
import type { CommandWords } from "../../../src/base/command-words.ts";
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import { backupBucket, backupSecret, bucketOfUrl } from "../backup-places.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { backupsInBucket, clusterBackups, recordedBackup, scheduledElsewhere } from "../cluster-backups.ts";
import { withDownloaded } from "../downloaded-backup.ts";
import { openCluster } from "../open-cluster.ts";
import { lastScheduled } from "../scheduled-backups.ts";
import type { Session } from "../session.ts";
import { type BackupEntry, backupsToJson, renderBackups } from "../views/backups-view.ts";

export type BackupsFlags = { readonly json?: boolean; readonly verify?: boolean; readonly stateOnly?: string };

export async function runBackups(
  context: CliContext,
  specArgument: string | undefined,
  flags: BackupsFlags,
): Promise<ExitCode> {
  const { terminal, clock, invocation } = context;
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  const { directories, backups } = clusterBackups(context, session);
  const bucket = backupBucket(session)?.place ?? null;
  const entries: BackupEntry[] = [];
  for (const backup of [...(await backupsInBucket(session)), ...backups])
    entries.push(flags.verify ? await verified(context, session, backup) : recordedBackup(backup));
  const elsewhere = scheduledElsewhere(session);
  const scheduled = await lastScheduled(context, session);
  const list = {
    cluster: session.spec.name,
    directories,
    bucket,
    backups: entries,
    nowMs: clock.now(),
    elsewhere,
    scheduled,
  };
  const lineOf = (command: CommandWords): string => invocation.line(command);
  terminal.print(
    flags.json ? JSON.stringify(backupsToJson(list), null, 2) : renderBackups(list, terminal.paint, lineOf),
  );
  return entries.some(({ problem }) => problem !== null) ? 1 : 0;
}

/** Reads all of it. */
async function verified(context: CliContext, session: Session, backup: ListedBackup): Promise<BackupEntry> {
  const { path, fileBytes, manifest } = backup;
  const shared = { path, fileBytes, createdAt: manifest?.createdAt ?? null };
  try {
    const facts = await factsOf(context, session, path);
    return { ...shared, facts, verified: true, problem: null };
  } catch (error) {
    if (!(error instanceof HaplanError)) throw error;
    return { ...shared, facts: manifest, verified: false, problem: errorText(error) };
  }
}

async function factsOf(context: CliContext, session: Session, path: string): Promise<BackupFacts> {
  const askSecret = (): ReturnType<typeof backupSecret> => backupSecret(context, session);
  const bucket = bucketOfUrl(session, path);
  if (bucket === null) return verifyBackup(path, askSecret);
  return withDownloaded(context, { bucket, url: path, clusterDirectory: session.directory }, async (file) => {
    if (file === null) throw new HaplanError("backup/unreadable", `${path} was removed meanwhile`);
    return verifyBackup(file, askSecret, path);
  });
}
