/** `haplan backups [SPEC]`: lists the backups of a cluster, and verifies them on request. */
import { type ListedBackup, listBackups } from "../../../src/backup/backup-dir.ts";
import { verifyBackup } from "../../../src/backup/open-backup.ts";
import { errorText, HaplanError } from "../../../src/base/haplan-error.ts";
import { backupDir, backupSecret } from "../backup-places.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { snapshotDir } from "../cluster-files.ts";
import { openCluster } from "../open-cluster.ts";
import type { Session } from "../session.ts";
import { type BackupEntry, backupsToJson, renderBackups } from "../views/backups-view.ts";

export type BackupsFlags = { readonly json?: boolean; readonly verify?: boolean; readonly stateOnly?: string };

export async function runBackups(
  context: CliContext,
  specArgument: string | undefined,
  flags: BackupsFlags,
): Promise<ExitCode> {
  const { terminal, clock } = context;
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  // Apply keeps its own snapshots where they were before the spec named a directory.
  const directories = [...new Set([backupDir(context, session), snapshotDir(session.directory)])];
  const listed = directories.flatMap((directory) => listBackups(directory));
  const entries: BackupEntry[] = [];
  for (const backup of listed) {
    if (backup.manifest !== null && backup.manifest.cluster !== session.spec.name) continue;
    entries.push(flags.verify ? await verified(context, session, backup) : recorded(backup));
  }
  const list = { cluster: session.spec.name, directories, backups: entries, nowMs: clock.now() };
  terminal.print(flags.json ? JSON.stringify(backupsToJson(list), null, 2) : renderBackups(list, terminal.paint));
  return entries.some(({ problem }) => problem !== null) ? 1 : 0;
}

/** As it was verified when it was taken. */
function recorded({ path, fileBytes, manifest }: ListedBackup): BackupEntry {
  const shared = { path, fileBytes, problem: null };
  if (manifest === null) return { ...shared, facts: null, createdAt: null, verified: false };
  return { ...shared, facts: manifest, createdAt: manifest.createdAt, verified: true };
}

/** Reads all of it. */
async function verified(context: CliContext, session: Session, backup: ListedBackup): Promise<BackupEntry> {
  const { path, fileBytes, manifest } = backup;
  const shared = { path, fileBytes, createdAt: manifest?.createdAt ?? null };
  try {
    const facts = await verifyBackup(path, () => backupSecret(context, session));
    return { ...shared, facts, verified: true, problem: null };
  } catch (error) {
    if (!(error instanceof HaplanError)) throw error;
    return { ...shared, facts: manifest, verified: false, problem: errorText(error) };
  }
}
