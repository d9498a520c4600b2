/**
 * `haplan restore BACKUP [SPEC]`: verify, lock, plan, show what is lost, ask, apply. Everything is checked before
 * anything is touched; what has begun is completed by the same command.
 */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { BackupBucket } from "../../../src/backup/backup-bucket.ts";
import { listBackups } from "../../../src/backup/backup-dir.ts";
import { readManifest } from "../../../src/backup/backup-manifest.ts";
import { type BackupFacts, extractSnapshot, verifyBackup } from "../../../src/backup/open-backup.ts";
import { bumpSnapshotFile } from "../../../src/backup/rewrite-snapshot-file.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import type { PlannedRestore, RestoreRequest } from "../../../src/plan/restore-request.ts";
import type { Lock } from "../../../src/state/lock-holder.ts";
import { askApproval, requireApprover } from "../approve.ts";
import { backupBucket, backupDirs, backupSecret, bucketOfUrl } from "../backup-places.ts";
import { checkPlan } from "../check-plan.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { withDownloaded } from "../downloaded-backup.ts";
import { executePlan } from "../execute-plan.ts";
import type { LockFlags } from "../lock-state.ts";
import { locked } from "../locked-run.ts";
import { makePlan } from "../make-plan.ts";
import { openCluster } from "../open-cluster.ts";
import {
  incompleteError,
  type PendingRestore,
  readPendingRestore,
  removePendingRestore,
  savePendingRestore,
  stagedSnapshot,
} from "../pending-restore.ts";
import { refuse, stoppedBeforeChange } from "../refusal.ts";
import type { Session } from "../session.ts";
import { renderRestore, restoreLine, restoreQuestion } from "../views/restore-view.ts";
import { showPlan } from "./apply.ts";

type RestoreFlags = LockFlags & {
  readonly autoApprove?: boolean;
  readonly json?: boolean;
  readonly input?: string;
};

export async function runRestore(
  context: CliContext,
  backup: string,
  specArgument: string | undefined,
  flags: RestoreFlags,
): Promise<ExitCode> {
  requireApprover(context, specArgument, flags, "restore");
  const session = await openCluster(context, { spec: specArgument });
  const path = findBackup(context, session, backup);
  if (path !== null) return restoreFile(context, session, { path, name: path }, flags);
  const isBegun = isBegunOf(await readPendingRestore(context, session), backup);
  const remote = isBegun ? null : remoteBackup(session, backup);
  if (remote === null) return resumeWithoutBackup(context, session, backup, flags);
  return withDownloaded(context, { ...remote, clusterDirectory: session.directory }, async (downloaded) => {
    if (downloaded === null) throw noBackup(context, session, backup);
    return restoreFile(context, session, { path: downloaded, name: remote.url }, flags);
  });
}

type BackupFile = {
  readonly path: string;
  /** What it is called in messages. */
  readonly name: string;
};

async function restoreFile(
  context: CliContext,
  session: Session,
  { path, name }: BackupFile,
  flags: RestoreFlags,
): Promise<ExitCode> {
  const facts = await verifyBackup(path, () => backupSecret(context, session), name);
  return locked(context, session, flags, "apply", async (lock) => {
    const pending = await readPendingRestore(context, session);
    if (pending?.phase === "begun") return resume(context, session, pending, { facts, flags, lock });
    if (pending?.phase === "complete" && pending.restore.snapshotSha256 === facts.snapshotSha256) {
      removePendingRestore(session);
      context.terminal.printError(`The restore of ${pending.restore.backup} is complete. Its files were removed.`);
      return 0;
    }
    removePendingRestore(session);
    const plan = await planRestore(context, session, { path, facts }, flags);
    await stage(context, session, path, plan);
    return execute(context, session, plan, flags, lock);
  });
}

/** A path, or the name of one of the cluster's backups. Null if there is none. */
function findBackup(context: CliContext, session: Session, backup: string): string | null {
  const places = backupDirs(context, session).map((directory) => join(directory, backup));
  return [resolve(context.cwd, backup), ...places].find((path) => existsSync(path)) ?? null;
}

/** In a bucket: the URL of an object, or the name of one of the cluster's backups. Null without a bucket. */
function remoteBackup(
  session: Session,
  backup: string,
): { readonly bucket: BackupBucket; readonly url: string } | null {
  const named = bucketOfUrl(session, backup);
  if (named !== null) return { bucket: named, url: backup };
  const bucket = backupBucket(session);
  return bucket === null || backup.includes("/") ? null : { bucket, url: `${bucket.place}${backup}` };
}

/** What was begun has a snapshot of its own: its backup may be gone, or elsewhere. @throws RefusalError */
async function resumeWithoutBackup(
  context: CliContext,
  session: Session,
  backup: string,
  flags: RestoreFlags,
): Promise<ExitCode> {
  if (!isBegunOf(await readPendingRestore(context, session), backup)) throw noBackup(context, session, backup);
  return locked(context, session, flags, "apply", async (lock) => {
    // Another run may have completed it meanwhile.
    const pending = await readPendingRestore(context, session);
    if (!isBegunOf(pending, backup)) throw noBackup(context, session, backup);
    return resume(context, session, pending, { facts: null, flags, lock });
  });
}

function isBegunOf(pending: PendingRestore | null, backup: string): pending is PendingRestore {
  const isRestore = pending?.phase === "begun" && pending.restore.recovery === undefined;
  return isRestore && pending.restore.backup === basename(backup);
}

function noBackup(context: CliContext, session: Session, backup: string): Error {
  const listed = backupDirs(context, session).flatMap((directory) => listBackups(directory));
  const names = listed.map(({ path }) => basename(path));
  const bucket = backupBucket(session);
  const known =
    bucket !== null
      ? `Neither a file nor an object of ${bucket.place} has this name.`
      : names.length === 0
        ? "There are no backups of this cluster."
        : `The newest is ${names[0]}.`;
  return refuse("cli/no-backup", `There is no backup ${backup}`, `${known} Write its name or its path. To list them:`, [
    ["backups"],
  ]);
}

type Verified = { readonly path: string; readonly facts: BackupFacts };

/** Plans, shows what is lost, and asks. @throws RefusalError */
async function planRestore(
  context: CliContext,
  session: Session,
  { path, facts }: Verified,
  flags: RestoreFlags,
): Promise<Plan & { readonly restore: PlannedRestore }> {
  const manifest = readManifest(path);
  const request: RestoreRequest = {
    backup: basename(path),
    snapshot: stagedSnapshot(session, facts.snapshotSha256),
    snapshotSha256: facts.snapshotSha256,
    snapshotBytes: facts.snapshotBytes,
    revision: facts.revision,
    storageVersion: facts.storageVersion,
    cluster: manifest?.cluster ?? null,
    createdAtMs: manifest === null ? null : Date.parse(manifest.createdAt),
  };
  const plan = await makePlan(context, session, { mode: "apply", restore: request });
  const { restore } = plan;
  if (restore === undefined) throw refuse("cli/no-restore", "This plan restores nothing", "This is a bug of haplan.");
  const shown = { cluster: session.spec.name, restore, facts, nowMs: context.clock.now() };
  context.reporter.event(restoreLine(shown));
  showPlan(context, plan, flags);
  if (!flags.json) context.terminal.print(`\n${renderRestore(shown, context.terminal.paint)}`);
  await checkPlan(context, session, plan);
  if (!flags.autoApprove) await confirm(context, session.spec.name, restore);
  if (context.stop.signal.aborted) throw stoppedBeforeChange(context.stop);
  return { ...plan, restore };
}

/** In place of data that exists, only the cluster's name is an answer. */
async function confirm(context: CliContext, cluster: string, { inPlace }: PlannedRestore): Promise<void> {
  if (!inPlace) return askApproval(context, "apply");
  const { terminal } = context;
  terminal.print(`\n${restoreQuestion(cluster, terminal.paint)}\n`);
  const answer = await terminal.ask(`  ${terminal.paint.bold("Enter the cluster's name:")} `, context.stop.signal);
  terminal.print("");
  if (answer?.trim() !== cluster) throw refuse("cli/declined", "Restore cancelled.", "Nothing was changed.");
}

/** What the restore needs to be completed, whatever becomes of the backup and of this run. */
async function stage(
  context: CliContext,
  session: Session,
  path: string,
  plan: Plan & { readonly restore: PlannedRestore },
): Promise<void> {
  const { snapshot, snapshotSha256, revision, bumpRevision } = plan.restore;
  const staged = await extractSnapshot(path, () => backupSecret(context, session), snapshot);
  if (staged.snapshotSha256 !== snapshotSha256)
    throw refuse("cli/backup-changed", `${path} has changed since it was verified`, "Nothing was changed. Try again.");
  // haplan's agent raises the revision itself.
  if (session.spec.controlPlane.engine === "etcd") bumpSnapshotFile(snapshot, revision + bumpRevision);
  savePendingRestore(session, plan);
}

async function resume(
  context: CliContext,
  session: Session,
  { plan, restore }: PendingRestore,
  { facts, flags, lock }: { readonly facts: BackupFacts | null; readonly flags: RestoreFlags; readonly lock: Lock },
): Promise<ExitCode> {
  if (facts !== null && facts.snapshotSha256 !== restore.snapshotSha256) {
    throw incompleteError(restore, "Another backup can be restored afterwards. Complete this first:");
  }
  context.terminal.printError(`Resuming the restore of ${restore.backup}, as it was approved.`);
  return execute(context, session, plan, flags, lock);
}

async function execute(
  context: CliContext,
  session: Session,
  plan: Plan,
  flags: RestoreFlags,
  lock: Lock,
): Promise<ExitCode> {
  const code = await executePlan(context, session, plan, { lock, json: flags.json === true, checked: true });
  if (code === 0) removePendingRestore(session);
  return code;
}
