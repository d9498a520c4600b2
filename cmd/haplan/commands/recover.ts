/**
 * `haplan recover [SPEC]`: the way back from a quorum that is lost for good. Lock, read the survivors' data, plan, show which
 * one has what and what may be lost, ask, apply. What has begun is completed by the same command.
 */
import { survivorsChanged } from "../../../src/apply/steps/save-survivor.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import type { PlannedRecovery } from "../../../src/plan/recover-request.ts";
import type { PlannedRestore } from "../../../src/plan/restore-request.ts";
import type { Lock } from "../../../src/state/lock-holder.ts";
import { requireApprover } from "../approve.ts";
import { checkPlan } from "../check-plan.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { executePlan } from "../execute-plan.ts";
import type { LockFlags } from "../lock-state.ts";
import { locked } from "../locked-run.ts";
import { makePlan } from "../make-plan.ts";
import { openCluster } from "../open-cluster.ts";
import {
  incompleteError,
  readPendingRestore,
  removePendingRestore,
  savedSurvivor,
  savePendingRestore,
} from "../pending-restore.ts";
import { readSurvivors } from "../read-survivors.ts";
import { RefusalError, refuse, stoppedBeforeChange } from "../refusal.ts";
import type { Session } from "../session.ts";
import { joinsLater, type RecoveryView, recoverQuestion, recoveryLine, renderRecovery } from "../views/recover-view.ts";
import { showPlan } from "./apply.ts";

type RecoverFlags = LockFlags & {
  readonly lost?: readonly string[];
  readonly autoApprove?: boolean;
  readonly json?: boolean;
  readonly input?: string;
};

type RecoveryPlan = Plan & { readonly restore: PlannedRestore & { readonly recovery: PlannedRecovery } };

export async function runRecover(
  context: CliContext,
  specArgument: string | undefined,
  flags: RecoverFlags,
): Promise<ExitCode> {
  const requireAnswer = (): void => requireApprover(context, specArgument, flags, "recover");
  const session = await openCluster(context, { spec: specArgument });
  return locked(context, session, flags, "apply", async (lock) => {
    const pending = await readPendingRestore(context, session);
    if (pending?.phase === "begun") {
      const { plan, restore } = pending;
      if (restore.recovery === undefined) throw incompleteError(restore, "Complete it first:");
      requireAnswer();
      context.terminal.printError(`Resuming the recovery from ${restore.backup}, as it was approved.`);
      return execute(context, session, asRecovery(plan), flags, lock);
    }
    removePendingRestore(session);
    if (pending?.phase === "complete" && pending.restore.recovery !== undefined) {
      context.terminal.printError(`The recovery from ${pending.restore.backup} is complete. Its files were removed.`);
      return 0;
    }
    const plan = await planRecovery(context, session, flags, requireAnswer);
    savePendingRestore(session, plan);
    return execute(context, session, plan, flags, lock);
  });
}

/** Plans, shows what is kept and what may be lost, also where it cannot ask, and asks. @throws RefusalError */
async function planRecovery(
  context: CliContext,
  session: Session,
  flags: RecoverFlags,
  requireAnswer: () => void,
): Promise<RecoveryPlan> {
  const plan = asRecovery(
    await makePlan(context, session, {
      mode: "apply",
      recover: async (input) => ({
        found: await readSurvivors(input, session.provider, context.stop.signal),
        lost: flags.lost ?? [],
        snapshot: savedSurvivor(session),
      }),
    }),
  );
  const shown: RecoveryView = { cluster: session.spec.name, restore: plan.restore };
  context.reporter.event(recoveryLine(shown));
  showPlan(context, plan, flags);
  if (!flags.json) context.terminal.print(`\n${renderRecovery(shown, context.terminal.paint)}`);
  await checkPlan(context, session, plan);
  requireAnswer();
  if (!flags.autoApprove) await confirm(context, session.spec.name);
  if (context.stop.signal.aborted) throw stoppedBeforeChange(context.stop);
  return plan;
}

function asRecovery(plan: Plan): RecoveryPlan {
  const { restore } = plan;
  const recovery = restore?.recovery;
  if (restore === undefined || recovery === undefined)
    throw refuse("cli/no-recovery", "This plan recovers nothing", "This is a bug of haplan.");
  return { ...plan, restore: { ...restore, recovery } };
}

/** Only the cluster's name is an answer. */
async function confirm({ terminal, stop }: CliContext, cluster: string): Promise<void> {
  terminal.print(`\n${recoverQuestion(cluster, terminal.paint)}\n`);
  const answer = await terminal.ask(`  ${terminal.paint.bold("Enter the cluster's name:")} `, stop.signal);
  terminal.print("");
  if (answer?.trim() !== cluster) throw refuse("cli/declined", "Recovery cancelled.", "Nothing was changed.");
}

async function execute(
  context: CliContext,
  session: Session,
  plan: RecoveryPlan,
  flags: RecoverFlags,
  lock: Lock,
): Promise<ExitCode> {
  try {
    const code = await executePlan(context, session, plan, { lock, json: flags.json === true, checked: true });
    if (code !== 0) return code;
    removePendingRestore(session);
    const left = joinsLater(plan.restore.recovery);
    if (left !== null) context.terminal.printError(left);
    return code;
  } catch (error) {
    // The plan is worthless, and no data was replaced: the next run compares the survivors anew.
    if (error instanceof RefusalError && error.diagnostics.some(({ code }) => code === survivorsChanged))
      removePendingRestore(session);
    throw error;
  }
}
