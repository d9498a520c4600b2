/**
 * A restore or a recovery that has begun: its plan and its snapshot are kept until it is complete, so that the same command continues
 * it after whatever has interrupted it, and no other change is made meanwhile.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeDirDurably, syncDir, writeFileDurably } from "../../src/base/durable-file.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { decodePlanFile, encodePlanFile } from "../../src/plan/plan-file.ts";
import type { PlannedRestore } from "../../src/plan/restore-request.ts";
import { noLock } from "../../src/state/lock-holder.ts";
import type { CliContext } from "./cli-context.ts";
import { restoreDir } from "./cluster-files.ts";
import { openJournal } from "./open-journal.ts";
import { RefusalError, refuse } from "./refusal.ts";
import { type Session, sessionState } from "./session.ts";
import { type InterruptedRestore, interruptedCommand, interruptedText } from "./views/status-view.ts";

export type PendingRestore = {
  readonly plan: Plan;
  readonly restore: PlannedRestore;
  /** `prepared`: no step was begun. `begun`: it has to be completed. `complete`: only its files are left. */
  readonly phase: "prepared" | "begun" | "complete";
};

/** The snapshot of a restore, decrypted: readable by the owner only, and removed once the restore is complete. */
export function stagedSnapshot(session: Session, sha256: string): string {
  return join(restoreDir(session.directory), `${sha256}.db`);
}

/** The data of the survivor that a recovery continues with. */
export function savedSurvivor(session: Session): string {
  return join(restoreDir(session.directory), "survivor.db");
}

function planFile(session: Session): string {
  return join(restoreDir(session.directory), "plan.json");
}

export function savePendingRestore(session: Session, plan: Plan): void {
  makeDirDurably(restoreDir(session.directory));
  writeFileDurably(planFile(session), encodePlanFile(plan));
}

export function removePendingRestore(session: Session): void {
  const directory = restoreDir(session.directory);
  if (!existsSync(directory)) return;
  rmSync(directory, { recursive: true, force: true });
  syncDir(session.directory);
}

/** Null if there is none. @throws RefusalError if its plan is damaged */
export async function readPendingRestore(context: CliContext, session: Session): Promise<PendingRestore | null> {
  if (!existsSync(planFile(session))) return null;
  const { plan, problem } = decodePlanFile(readFileSync(planFile(session), "utf8"));
  if (problem !== undefined) throw new RefusalError([{ ...problem, address: planFile(session) }]);
  if (plan.restore === undefined) return null;
  const records = await openJournal(context, session, noLock).read();
  const isBegun = records.some(({ planId }) => planId === plan.id);
  const phase = isBegun ? "begun" : (await isComplete(context, session, plan)) ? "complete" : "prepared";
  return { plan, restore: plan.restore, phase };
}

/** The journal is cleared at the end, and before the first step it is empty as well: the state has what was done. */
async function isComplete(context: CliContext, session: Session, plan: Plan): Promise<boolean> {
  const state = await sessionState(context, session);
  if (state === null || state.serial <= plan.binding.stateSerial) return false;
  const members = state.resources.filter(
    ({ type, attributes }) => type === "haplan_raft_member" && typeof attributes["memberId"] === "string",
  );
  const all = plan.spec.controlPlane.masters.map(({ name }) => name);
  const restored = plan.restore?.recovery?.rebuilt ?? all;
  return restored.every((name) => members.some((member) => member.name === name));
}

/** Another change would start members with the data that is to be replaced. @throws RefusalError */
export async function refuseDuringRestore(context: CliContext, session: Session): Promise<void> {
  const pending = await readPendingRestore(context, session);
  if (pending?.phase !== "begun") return;
  throw incompleteError(
    pending.restore,
    "Some members may have other data by now, and others that of before. Complete it first:",
  );
}

/** What was interrupted, with the command that completes it. */
export function incompleteError(restore: PlannedRestore, detail: string): RefusalError {
  const interrupted = interruptedBy(restore);
  return refuse("cli/restore-incomplete", interruptedText(interrupted), detail, [interruptedCommand(interrupted)]);
}

export function interruptedBy({ backup, recovery }: PlannedRestore): InterruptedRestore {
  return { kind: recovery === undefined ? "restore" : "recover", backup };
}
