/** `haplan backup [SPEC]`: takes a backup of the data, verified, and removes those that the retention no longer keeps. */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { removeExpired } from "../../../src/backup/backup-bucket.ts";
import { listBackups, removeBackup } from "../../../src/backup/backup-dir.ts";
import { type BackupManifest, readManifest } from "../../../src/backup/backup-manifest.ts";
import { writeBackupMetrics } from "../../../src/backup/backup-metrics.ts";
import { backupPath, expiredBackups, timeName } from "../../../src/backup/listed-backups.ts";
import { writeBackup } from "../../../src/backup/write-backup.ts";
import { isDir } from "../../../src/base/durable-file.ts";
import type { SnapshotSource } from "../../../src/control-plane/control-plane.ts";
import { backupBucket, backupDir, backupSecret } from "../backup-places.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { connectMembers } from "../connect-members.ts";
import { openCluster } from "../open-cluster.ts";
import { refuse, stoppedBeforeChange } from "../refusal.ts";
import { type Session, sessionState } from "../session.ts";
import { backupToJson, renderBackup } from "../views/backups-view.ts";

export type BackupFlags = { readonly out?: string; readonly json?: boolean; readonly stateOnly?: string };

export async function runBackup(
  context: CliContext,
  specArgument: string | undefined,
  flags: BackupFlags,
): Promise<ExitCode> {
  const session = await openCluster(context, { spec: specArgument, stateOnly: flags.stateOnly });
  // An interrupted backup leaves no partial file.
  return context.stop.hold(async (): Promise<ExitCode> => {
    const taken = await takeBackup(context, session, flags.out);
    const removed = flags.out === undefined ? await prune(context, session, taken) : [];
    const report = { ...taken, removed };
    context.terminal.print(
      flags.json ? JSON.stringify(backupToJson(report), null, 2) : renderBackup(report, context.terminal.paint),
    );
    return 0;
  });
}

export type TakenBackup = {
  readonly path: string;
  readonly manifest: BackupManifest;
  readonly source: SnapshotSource;
};

async function takeBackup(context: CliContext, session: Session, out: string | undefined): Promise<TakenBackup> {
  const { spec } = session;
  const state = await sessionState(context, session);
  if (state === null) {
    throw refuse("cli/not-applied", "The cluster has not been applied yet", "There is nothing to back up. Run:", [
      ["apply"],
    ]);
  }
  const secret = await backupSecret(context, session);
  const nowMs = context.clock.now();
  const named = backupPath(backupDir(context, session), `${spec.name}-${timeName(nowMs)}`, secret !== null);
  const path = out === undefined ? named : resolve(context.cwd, out);
  if (out !== undefined) requireFreeForBackup(out, path);
  const controlPlane = await connectMembers(context, session, state);
  let source: SnapshotSource | null = null;
  const pieces = controlPlane.snapshot((found) => {
    source = found;
  });
  const sent = (): SnapshotSource => source ?? { name: "", endpoint: "", leads: false, clusterId: "" };
  const manifest = await writeBackup(untilStopped(context, pieces), {
    path,
    secret,
    createdAtMs: nowMs,
    origin: () => ({
      cluster: spec.name,
      engine: spec.controlPlane.engine,
      ...(sent().clusterId === "" ? {} : { clusterId: sent().clusterId }),
      ...(sent().endpoint === "" ? {} : { member: sent().endpoint }),
    }),
  });
  const kept = out === undefined ? await uploaded(context, session, path) : path;
  if (spec.backup?.metricsFile !== undefined) {
    writeBackupMetrics(resolve(context.cwd, spec.backup.metricsFile), manifest);
  }
  return { path: kept, manifest, source: sent() };
}

/** A former backup may be replaced; the spec, the state or a device may not. @throws RefusalError */
function requireFreeForBackup(out: string, path: string): void {
  if (isDir(path)) throw refuse("cli/backup-directory", `${out} is a directory`, "Name the file to write with -out.");
  if (!existsSync(path) || readManifest(path) !== null) return;
  throw refuse(
    "cli/not-a-backup",
    `${out} exists, and is not a backup that haplan has taken`,
    "Name another file with -out, or remove this one.",
  );
}

/** Returns where it is: in the bucket, and no longer in the directory, if the spec has one. */
async function uploaded({ stop }: CliContext, session: Session, path: string): Promise<string> {
  const bucket = backupBucket(session);
  if (bucket === null) return path;
  try {
    return await bucket.upload(path, stop.signal);
  } catch (error) {
    throw stop.signal.aborted ? stoppedBeforeChange(stop) : error;
  } finally {
    removeBackup(dirname(path), path);
  }
}

/** @throws RefusalError once the run was asked to stop */
async function* untilStopped(
  { stop }: CliContext,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of pieces) {
    if (stop.signal.aborted) throw stoppedBeforeChange(stop);
    yield piece;
  }
}

/** Returns the paths of what was removed. */
async function prune(context: CliContext, session: Session, { path }: TakenBackup): Promise<readonly string[]> {
  const { retention } = session.spec.backup ?? {};
  if (retention === undefined) return [];
  const [cluster, nowMs] = [session.spec.name, context.clock.now()];
  const bucket = backupBucket(session);
  if (bucket !== null) return removeExpired(bucket, { cluster, retention, nowMs, saved: path });
  const directory = backupDir(context, session);
  const expired = expiredBackups(listBackups(directory), cluster, retention, nowMs);
  for (const each of expired) removeBackup(directory, each);
  return expired;
}
