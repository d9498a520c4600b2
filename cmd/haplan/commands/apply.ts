/**
 * `haplan apply [SPEC | PLANFILE]` and `haplan destroy [SPEC]`: lock, refresh, plan, ask, apply. A saved plan was
 * reviewed when it was made, so haplan does not ask again; it is refused if the cluster has changed since.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Plan } from "../../../src/plan/plan.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import { askApproval, requireApprover } from "../approve.ts";
import { checkPlan } from "../check-plan.ts";
import { recordSpec } from "../choose-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { parseOptionalDuration } from "../duration.ts";
import { executePlan } from "../execute-plan.ts";
import { besideDestroy } from "../flags-beside-destroy.ts";
import { isKnownCluster } from "../known-cluster.ts";
import type { LockFlags } from "../lock-state.ts";
import { locked } from "../locked-run.ts";
import { makePlan, type PlanOptions } from "../make-plan.ts";
import { refuseDuringMigration } from "../migrate/migration-record.ts";
import { openCluster, openClusterToDestroy, warnOfOtherClusters } from "../open-cluster.ts";
import { refuseDuringRestore } from "../pending-restore.ts";
import { RefusalError, refuse, stoppedBeforeChange } from "../refusal.ts";
import { removeClusterDir } from "../remove-cluster-dir.ts";
import { isPlanFile, readPlanFile, type SavedPlan } from "../saved-plan.ts";
import { type Session, sessionFor, sessionState } from "../session.ts";
import { standardInput } from "../spec-source.ts";
import { assertPassphrase } from "../state-passphrase.ts";
import { planLines } from "../views/apply-json.ts";
import { renderPlan } from "../views/plan-view.ts";

export type ApplyFlags = LockFlags & {
  readonly autoApprove?: boolean;
  readonly json?: boolean;
  readonly replace?: readonly string[];
  readonly target?: readonly string[];
  readonly refreshOnly?: boolean;
  /** `apply` only. */
  readonly destroy?: boolean;
  readonly maxWriteGap?: string;
  readonly input?: string;
  /** `destroy` only. */
  readonly stateOnly?: string;
};

export async function runApply(
  context: CliContext,
  argument: string | undefined,
  flags: ApplyFlags,
): Promise<ExitCode> {
  // A mistake is reported before anything is read.
  maxWriteGapOf(flags);
  if (flags.destroy) return runDestroy(context, argument, refuseBesideDestroy(flags));
  if (argument !== undefined && isPlanFile(context, argument)) return applySavedPlan(context, argument, flags);
  // A missing file is reported before a missing approval.
  if (argument !== undefined && isMissing(context, argument)) throw missingFile(argument);
  requireApprover(context, argument, flags, "apply");
  const session = await openCluster(context, { spec: argument });
  return applyChanges(context, session, planOptionsOf(flags), flags);
}

/** Plans under the lock, shows the plan, asks, and applies it. */
export function applyChanges(
  context: CliContext,
  session: Session,
  options: Omit<PlanOptions, "mode">,
  flags: ApplyFlags,
): Promise<ExitCode> {
  assertPassphrase(context, session.spec);
  return locked(context, session, flags, "apply", async (lock) => {
    const plan = await makePlan(context, session, { mode: "apply", ...options });
    recordSpec(context, { clusterName: session.spec.name, spec: session.specPath, planId: plan.id });
    showPlan(context, plan, flags);
    const checked = await checkPlan(context, session, plan);
    await confirmPlan(context, plan, flags);
    return executePlan(context, session, plan, { lock, json: flags.json === true, checked, ...maxWriteGapOf(flags) });
  });
}

function isMissing({ cwd }: CliContext, argument: string): boolean {
  return argument !== standardInput && !existsSync(resolve(cwd, argument));
}

function missingFile(path: string): RefusalError {
  const detail =
    "Pass the path of a spec, or of a plan that `haplan plan -out=FILE` has saved. examples/ha-3-masters.yaml is a starting point.";
  const summary = `There is no file ${path}`;
  return new RefusalError([{ severity: "error", code: "spec/missing-file", summary, detail, address: path }]);
}

/** Runs `apply -destroy` as `destroy`, which has fewer options. @throws RefusalError */
function refuseBesideDestroy(flags: ApplyFlags): ApplyFlags {
  const { replace = [], refreshOnly = false } = flags;
  // Nothing writes to a cluster that ends.
  if (flags.maxWriteGap !== undefined) throw besideDestroy("-max-write-gap");
  if (replace.length === 0 && !refreshOnly) return flags;
  throw besideDestroy(refreshOnly ? "-refresh-only" : "-replace");
}

/** @throws RefusalError */
function maxWriteGapOf({ maxWriteGap }: ApplyFlags): { readonly maxWriteGapMs?: number } {
  const maxWriteGapMs = parseOptionalDuration("-max-write-gap", maxWriteGap);
  if (maxWriteGapMs === undefined) return {};
  if (maxWriteGapMs > 0) return { maxWriteGapMs };
  throw refuse(
    "cli/bad-duration",
    `-max-write-gap ${maxWriteGap} leaves no time for any write`,
    "Write a longer duration, such as 2s. A planned change costs a client up to a second.",
  );
}

function planOptionsOf({ replace = [], target = [], refreshOnly = false }: ApplyFlags): Omit<PlanOptions, "mode"> {
  return { replace, target, refreshOnly };
}

/** Rejects flags that would change a saved plan. @throws RefusalError */
function refusePlanningFlags({ variables }: CliContext, path: string, { plan }: SavedPlan, flags: ApplyFlags): void {
  const { target = [], replace = [], refreshOnly = false } = flags;
  const given = [
    ...(Object.keys(variables).length > 0 ? ["-var"] : []),
    ...(target.length > 0 ? ["-target"] : []),
    ...(replace.length > 0 ? ["-replace"] : []),
    ...(refreshOnly ? ["-refresh-only"] : []),
  ];
  if (given.length === 0) return;
  const names = given.join(", ");
  const what = given.length === 1 ? `The flag ${names} cannot` : `The flags ${names} cannot`;
  const words = [
    "plan",
    ...(plan.mode === "destroy" ? ["-destroy"] : []),
    ...(refreshOnly ? ["-refresh-only"] : []),
    ...replace.map((address) => `-replace=${address}`),
    ...target.map((address) => `-target=${address}`),
    `-out=${path}`,
  ];
  const detail = `${path} is a saved plan and is applied as it is. Omit ${names} here, or make a new plan:`;
  throw refuse("cli/flags-with-plan", `${what} change a saved plan`, detail, [words]);
}

async function applySavedPlan(context: CliContext, path: string, flags: ApplyFlags): Promise<ExitCode> {
  const saved = await readPlanFile(context, path);
  const { plan, specEdited } = saved;
  context.invocation.about({ spec: saved.specPath });
  refusePlanningFlags(context, path, saved, flags);
  if (plan.mode === "destroy" && flags.maxWriteGap !== undefined) throw besideDestroy("-max-write-gap");
  context.terminal.printError(context.terminal.errorPaint.dim(`Plan: ${path} (${plan.id.slice(0, 12)})`));
  const specDigest = specEdited ? "edited" : plan.binding.specDigest;
  const session = await sessionFor(context, { spec: plan.spec, specPath: saved.specPath, specDigest });
  return locked(context, session, flags, plan.mode, async (lock) => {
    if (plan.mode === "apply") await refuseDuringRestore(context, session);
    refuseDuringMigration(session, plan.mode, (await sessionState(context, session)) !== null);
    const code = await executePlan(context, session, plan, {
      lock,
      json: flags.json === true,
      saved: true,
      ...maxWriteGapOf(flags),
    });
    return removeDestroyed(context, session, plan, code);
  });
}

export async function runDestroy(
  context: CliContext,
  argument: string | undefined,
  flags: ApplyFlags,
): Promise<ExitCode> {
  const session = await openClusterToDestroy(context, { spec: argument, stateOnly: flags.stateOnly });
  // Neither a state nor anything else of this cluster is here.
  const isForeign = !isKnownCluster(session.directory) && (await sessionState(context, session)) === null;
  requireApprover(context, argument, flags, "destroy", isForeign ? onlyByHand(session) : undefined);
  return locked(context, session, flags, "destroy", async (lock) => {
    const plan = await makePlan(context, session, { mode: "destroy", target: flags.target ?? [] });
    const { stateLineage } = plan.binding;
    if (isForeign && stateLineage !== null && flags.autoApprove === true)
      throw destroysWithoutState(session, stateLineage);
    if (!planHasChanges(plan)) warnOfOtherClusters(context, session);
    showPlan(context, plan, flags);
    await confirmPlan(context, plan, flags);
    const code = await executePlan(context, session, plan, { lock, json: flags.json === true });
    return removeDestroyed(context, session, plan, code);
  });
}

/** Once the last resource of a cluster is destroyed, its files are removed. */
async function removeDestroyed(context: CliContext, session: Session, plan: Plan, code: ExitCode): Promise<ExitCode> {
  const ended = code === 0 && plan.mode === "destroy" && (await sessionState(context, session)) === null;
  if (ended) removeClusterDir(session.directory);
  return code;
}

/** A pipeline that has lost its way to the state would destroy a cluster that another one manages. */
function destroysWithoutState(session: Session, lineage: string): RefusalError {
  return refuse(
    "cli/destroy-without-state",
    "haplan does not destroy machines of unknown origin without asking",
    `There are machines of a cluster "${session.spec.name}", lineage ${lineage}. ${onlyByHand(session)}`,
    [["destroy"]],
  );
}

function onlyByHand({ spec, backend }: Session): string {
  return `Nothing of cluster "${spec.name}" is known here, neither its state (${backend.place}) nor its certificates: -auto-approve does not approve that its machines are destroyed, only an answer in a terminal does. Run destroy where the state is, or in a terminal:`;
}

/** Asks. @throws RefusalError if the answer is no, or the run was asked to stop */
async function confirmPlan(context: CliContext, plan: Plan, flags: ApplyFlags): Promise<void> {
  if (planHasChanges(plan) && !flags.autoApprove) await askApproval(context, plan.mode);
  if (context.stop.signal.aborted) throw stoppedBeforeChange(context.stop);
}

export function showPlan(context: CliContext, plan: Plan, flags: ApplyFlags): void {
  const { terminal, reporter } = context;
  for (const line of planLines(plan)) reporter.event(line);
  reporter.warn(plan.warnings);
  if (!flags.json) terminal.print(renderPlan(plan, terminal));
}
