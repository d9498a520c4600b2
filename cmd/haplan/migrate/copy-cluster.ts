/** The first half of a migration: a snapshot of the old cluster, and new members that start from it. */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync } from "node:fs";
import { type BackupFacts, verifyBackup, writeAll } from "../../../src/backup/open-backup.ts";
import { extendLeasesInFile } from "../../../src/backup/rewrite-snapshot-file.ts";
import { makeDirDurably, syncDir, writeFileDurably } from "../../../src/base/durable-file.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { decodePlanFile, encodePlanFile } from "../../../src/plan/plan-file.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import type { RestoreRequest } from "../../../src/plan/restore-request.ts";
import type { Lock } from "../../../src/state/lock-holder.ts";
import { askApproval } from "../approve.ts";
import { checkPlan } from "../check-plan.ts";
import type { CliContext } from "../cli-context.ts";
import { migrationDir } from "../cluster-files.ts";
import { showPlan } from "../commands/apply.ts";
import { executePlan } from "../execute-plan.ts";
import { makePlan } from "../make-plan.ts";
import { openJournal } from "../open-journal.ts";
import { RefusalError, stoppedBeforeChange } from "../refusal.ts";
import { type Session, sessionState } from "../session.ts";
import { contentText } from "../views/backups-view.ts";
import { followedCluster } from "./migration-balancer.ts";
import { type MigrateFrom, sourceMaterial } from "./migration-clusters.ts";
import {
  type MigrationRecord,
  migrationPlanFile,
  migrationSnapshot,
  removeCopyFiles,
  saveMigration,
} from "./migration-record.ts";

export type CopyRequest = {
  readonly context: CliContext;
  readonly session: Session;
  readonly lock: Lock;
  readonly from: MigrateFrom;
  readonly clusterId: string;
  readonly engine: "agent" | "etcd";
  /** Whether it has to be approved. */
  readonly asks: boolean;
};

/** Takes a snapshot, plans, asks, and makes the new members from it. Returns the record of the next phase. */
export async function copyCluster(request: CopyRequest): Promise<MigrationRecord> {
  const { context, session, asks } = request;
  const facts = await takeSnapshot(request);
  context.terminal.print(`Snapshot of the old cluster: ${contentText(facts)}`);
  const plan = await planCopy(request, facts);
  showPlan(context, plan, {} as Parameters<typeof showPlan>[2]);
  await checkPlan(context, session, plan);
  if (asks) await askApproval(context, "apply");
  if (context.stop.signal.aborted) throw stoppedBeforeChange(context.stop);
  makeDirDurably(migrationDir(session.directory));
  writeFileDurably(migrationPlanFile(session), encodePlanFile(plan));
  const record = saveMigration(session, {
    formatVersion: 1,
    phase: "copying",
    clusterId: request.clusterId,
    engine: request.engine,
    endpoints: request.from.endpoints,
    snapshotRevision: facts.revision,
    switchRevision: null,
  });
  return execute(request, plan, record);
}

/** Continues the copy of an interrupted run; null if none of its steps was begun. */
export async function resumeCopy(
  request: Pick<CopyRequest, "context" | "session" | "lock">,
  record: MigrationRecord,
): Promise<MigrationRecord | null> {
  const { context, session, lock } = request;
  const path = migrationPlanFile(session);
  if (!existsSync(path)) return null;
  const { plan, problem } = decodePlanFile(readFileSync(path, "utf8"));
  if (problem !== undefined) throw new RefusalError([{ ...problem, address: path }]);
  const records = await openJournal(context, session, lock).read();
  if (records.some(({ planId }) => planId === plan.id)) {
    context.terminal.printError("Resuming the copy, as it was approved.");
    return execute(request, plan, record);
  }
  const serial = (await sessionState(context, session))?.serial ?? 0;
  return serial > plan.binding.stateSerial ? copied(session, record) : null;
}

async function execute(
  { context, session, lock }: Pick<CopyRequest, "context" | "session" | "lock">,
  plan: Plan,
  record: MigrationRecord,
): Promise<MigrationRecord> {
  if (planHasChanges(plan)) await executePlan(context, session, plan, { lock, json: false, checked: true });
  return copied(session, record);
}

function copied(session: Session, record: MigrationRecord): MigrationRecord {
  const next = saveMigration(session, { ...record, phase: "following" });
  removeCopyFiles(session);
  return next;
}

/** From the follower that is least behind, verified as a restore would read it. */
async function takeSnapshot({ context, session, from }: CopyRequest): Promise<BackupFacts> {
  const tls = sourceMaterial(context, from);
  const members = session.dependencies.connect({ endpoints: from.endpoints, tls });
  const path = migrationSnapshot(session, "incoming");
  makeDirDurably(migrationDir(session.directory));
  removeCopyFiles(session);
  try {
    const file = openSync(path, "w", 0o600);
    try {
      for await (const piece of members.snapshot()) {
        if (context.stop.signal.aborted) throw stoppedBeforeChange(context.stop);
        writeAll(file, piece);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } finally {
    members.close();
  }
  await verifyBackup(path, async () => null);
  // The new members renew no lease before they are followed.
  extendLeasesInFile(path);
  const facts = await verifyBackup(path, async () => null);
  renameSync(path, migrationSnapshot(session, facts.snapshotSha256));
  syncDir(migrationDir(session.directory));
  return facts;
}

function planCopy(request: CopyRequest, facts: BackupFacts): Promise<Plan> {
  const { context, session, from, engine } = request;
  const restore: RestoreRequest = {
    backup: "the snapshot of the old cluster",
    snapshot: migrationSnapshot(session, facts.snapshotSha256),
    snapshotSha256: facts.snapshotSha256,
    snapshotBytes: facts.snapshotBytes,
    revision: facts.revision,
    storageVersion: facts.storageVersion,
    cluster: null,
    createdAtMs: context.clock.now(),
    follows: followedCluster({ engine, endpoints: from.endpoints }),
  };
  return makePlan(context, session, { mode: "apply", restore });
}
