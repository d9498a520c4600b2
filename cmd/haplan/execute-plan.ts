/** Passes a plan to the apply engine, shows its events, and maps its outcome to an exit code. */

import type { ApplyEvent } from "../../src/apply/apply-event.ts";
import { type ApplyOutcome, applyPlan } from "../../src/apply/apply-plan.ts";
import type { ApplyPorts } from "../../src/apply/ports.ts";
import type { SpentGap } from "../../src/apply/write-gap-budget.ts";
import { createSnapshotDir } from "../../src/backup/backup-dir.ts";
import { verifyBackup } from "../../src/backup/open-backup.ts";
import type { Diagnostic } from "../../src/base/diagnostic.ts";
import { dataDir, installDir } from "../../src/base/host-paths.ts";
import { finishedReplacements } from "../../src/plan/finished-replacements.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { currentBinding } from "../../src/plan/planner.ts";
import { unreachableByNow, unreachableWarnings } from "../../src/plan/rules/unreachable.ts";
import { checkStaleness } from "../../src/plan/staleness.ts";
import type { Step } from "../../src/plan/step.ts";
import type { HostFailure } from "../../src/providers/provider.ts";
import { newLineage } from "../../src/state/local-backend.ts";
import type { Lock } from "../../src/state/lock-holder.ts";
import { hasAppliedSpec, saveAppliedSpec } from "./applied-spec.ts";
import { backupBucket, backupDir, backupSecret } from "./backup-places.ts";
import type { CliContext, ExitCode } from "./cli-context.ts";
import { outputsAsTerraform, outputsOf } from "./cluster-outputs.ts";
import { locateInSpec } from "./locate-in-spec.ts";
import { plannerInput } from "./make-plan.ts";
import { openJournal } from "./open-journal.ts";
import { RefusalError, refuse } from "./refusal.ts";
import { type Session, sessionState, sessionStore } from "./session.ts";
import { applyEventLine, outputsLine } from "./views/apply-json.ts";
import { createApplyView, milliseconds } from "./views/apply-view.ts";
import { postponedUpdates } from "./views/plan-view.ts";
import { ResourceEvents } from "./views/resource-events.ts";

/** A repainted line may change often; in a log, an occasional line shows that the step is still running. */
const liveIntervalMs = 500;
const plainIntervalMs = 10_000;

export type ExecuteOptions = {
  readonly lock: Lock;
  readonly json: boolean;
  /** The plan was made by an earlier run and must still be valid. */
  readonly saved?: boolean;
  /** Its hosts have been checked. */
  readonly checked?: boolean;
  /** Stops when a client has waited for a write for longer. */
  readonly maxWriteGapMs?: number;
};

export async function executePlan(
  context: CliContext,
  session: Session,
  plan: Plan,
  options: ExecuteOptions,
): Promise<ExitCode> {
  const ports = applyPorts(context, session, options.lock);
  const unreachable = options.saved ? await checkSavedPlan(context, session, plan, ports) : unreachableWarnings(plan);
  const view = createView(context, plan, options.json);
  const emit = (event: ApplyEvent): void => {
    // Nothing has been created yet, and the checks before the first step have passed.
    if (event.kind === "planned" && isApplied(session, plan)) {
      saveAppliedSpec(session.directory, { spec: plan.spec, path: session.specPath });
    }
    view.show(event);
  };
  let outcome: ApplyOutcome;
  try {
    outcome = await applyPlan(
      plan,
      { ...ports, emit },
      {
        signal: context.stop.signal,
        checked: options.checked ?? false,
        ...(options.maxWriteGapMs === undefined ? {} : { maxWriteGapMs: options.maxWriteGapMs }),
        progressIntervalMs: context.terminal.live ? liveIntervalMs : plainIntervalMs,
      },
    );
  } finally {
    view.close();
  }
  if (outcome.kind === "applied" && plan.mode === "apply") await showOutputs(context, session, plan, options.json);
  if (outcome.kind === "refused") throw new RefusalError(locateInSpec(context, session, outcome.diagnostics));
  return conclude(context, plan, outcome, unreachable);
}

/** The endpoint, as Terraform shows outputs; for a new cluster also the command that makes etcdctl use it. */
async function showOutputs(context: CliContext, session: Session, { binding }: Plan, json: boolean): Promise<void> {
  const { terminal, invocation } = context;
  const outputs = outputsOf(session, await sessionState(context, session), context.cwd);
  if (outputs === null) return;
  context.reporter.event(outputsLine(outputsAsTerraform(outputs)));
  if (json) return;
  terminal.print(`\n${terminal.paint.bold("Outputs:")}\n\nendpoint = ${JSON.stringify(outputs["endpoint"])}`);
  if (binding.stateLineage !== null) return;
  terminal.print(`\nTo use it with etcdctl, run:\n    eval "$(${invocation.line(["output", "-raw", "env"])})"`);
}

/** A refresh-only plan does not apply the spec. */
function isApplied({ directory }: Session, { mode, refreshOnly }: Plan): boolean {
  return mode === "apply" && (refreshOnly !== true || !hasAppliedSpec(directory));
}

function applyPorts(context: CliContext, session: Session, lock: Lock): Omit<ApplyPorts, "emit"> {
  return {
    provider: session.provider,
    loadBalancer: session.loadBalancer,
    authority: session.authority,
    connect: session.dependencies.connect,
    probeWrites: session.dependencies.probeWrites,
    askPresented: session.dependencies.askPresented,
    stateStore: sessionStore(context, session, lock),
    journal: openJournal(context, session, lock),
    snapshots: createSnapshotDir({
      directory: backupDir(context, session),
      origin: { cluster: session.spec.name, engine: session.spec.controlPlane.engine },
      secret: () => backupSecret(context, session),
      now: () => context.clock.now(),
      bucket: backupBucket(session),
    }),
    verifySnapshot: (path) => verifyBackup(path, async () => null),
    clock: context.clock,
    newLineage,
  };
}

/**
 * An interrupted plan is not checked: it may have caused the changes itself.
 * @returns what it tells of unreachable machines, which it has shown
 */
async function checkSavedPlan(
  context: CliContext,
  session: Session,
  plan: Plan,
  ports: Omit<ApplyPorts, "emit">,
): Promise<readonly Diagnostic[]> {
  const records = await ports.journal.read();
  const isResumed = records.some(({ planId }) => planId === plan.id);
  const unreachable = isResumed ? unreachableWarnings(plan) : await compareSavedPlan(context, session, plan);
  context.reporter.warn(unreachable);
  return unreachable;
}

/** @throws RefusalError if the plan is stale */
async function compareSavedPlan(context: CliContext, session: Session, plan: Plan): Promise<readonly Diagnostic[]> {
  const present = await plannerInput(context, session, { mode: plan.mode, replace: [] });
  const stale = checkStaleness(plan, currentBinding(present));
  if (stale !== null) throw new RefusalError([stale]);
  return unreachableByNow(plan, present);
}

function createView(context: CliContext, plan: Plan, json: boolean): { show(event: ApplyEvent): void; close(): void } {
  const { terminal, clock, reporter } = context;
  const view = json ? null : createApplyView(terminal, plan.mode, clock.monotonicMs);
  const resources = new ResourceEvents(plan, clock.monotonicMs);
  return {
    show: (event) => {
      const lines = resources.linesFor(event);
      // A change starts before its first step and completes after its last one.
      const own = applyEventLine(event, plan.mode);
      for (const line of event.kind === "stepStarted" ? [...lines, own] : [own, ...lines]) reporter.event(line);
      view?.show(event);
    },
    close: () => view?.close(),
  };
}

function conclude(
  { stop, invocation, reporter }: CliContext,
  plan: Plan,
  outcome: Exclude<ApplyOutcome, { readonly kind: "refused" }>,
  unreachable: readonly Diagnostic[],
): ExitCode {
  // Indented lines are printed unwrapped, so that the command can be copied.
  const resumeCommand = (remaining: readonly Step[], flags: readonly string[] = []): string =>
    `    ${invocation.again({ flags, replaced: finishedReplacements(plan, remaining) })}`;
  const done = (count: number): string => `${count} of ${plan.steps.length} steps are complete.`;
  switch (outcome.kind) {
    case "applied":
      reporter.warn(outcome.leftovers.map((each) => leftoverWarning(plan, each)));
      if (unreachable.length > 0) reporter.warn([leftAsTheyAre(plan, unreachable)]);
      refusePostponed(plan);
      return 0;
    case "gapSpent":
      reporter.fail([gapSpentError(outcome, resumeCommand, done(outcome.stepsDone))]);
      return 5;
    case "interrupted": {
      const detail = `${done(outcome.stepsDone)} To resume, run:\n${resumeCommand(outcome.remaining)}`;
      throw refuse("apply/interrupted", stop.reason, detail);
    }
    case "failed": {
      const { step, error, stepsDone, remaining } = outcome;
      const detail = `${error.message}\n\n${done(stepsDone)} Fix the cause, then resume with:\n${resumeCommand(remaining)}`;
      throw refuse(error.code, `Step failed: ${step.title}`, detail);
    }
  }
}

/** The same budget would be spent by the same wait. */
function resumeAdvice({ budgetMs, gapMs }: SpentGap): string {
  if (!Number.isFinite(gapMs)) return "Resume once writes are answered again:";
  return `With ${milliseconds(budgetMs)} again, the next wait like this one stops it again: fix its cause first. To resume at once, allow a longer wait:`;
}

/** In whole seconds, half as long again as what was seen. */
function longerGap({ gapMs }: SpentGap): readonly string[] {
  return Number.isFinite(gapMs) ? [`-max-write-gap=${Math.ceil((gapMs * 1.5) / 1000)}s`] : [];
}

/** Where the time went is in the report of the writes, above. */
function gapSpentError(
  { spent, failure, remaining }: Extract<ApplyOutcome, { readonly kind: "gapSpent" }>,
  resumeCommand: (remaining: readonly Step[], flags: readonly string[]) => string,
  done: string,
): Diagnostic {
  const { budgetMs, gapMs } = spent;
  const waited = Number.isFinite(gapMs)
    ? `A client waited ${milliseconds(gapMs)} for a write; -max-write-gap allows ${milliseconds(budgetMs)}.`
    : "The write gaps could not be measured any longer.";
  const stopped = failure === null ? "" : `\n\nStopped: ${failure.step.title}\n${failure.error.message}`;
  const rest =
    remaining.length === 0
      ? `${done} Nothing is left to do.`
      : `${done} No further step was begun. ${resumeAdvice(spent)}\n${resumeCommand(remaining, longerGap(spent))}`;
  return {
    severity: "error",
    code: "apply/write-gap",
    summary: "The budget for write gaps is spent",
    detail: `${waited}${stopped}\n\n${rest}`,
  };
}

/** What is not applied yet must not look like success. @throws RefusalError */
function refusePostponed(plan: Plan): void {
  const updates = postponedUpdates(plan);
  if (updates === undefined) return;
  const detail = `${updates.detail ?? ""} All steps of this plan are complete.`;
  throw refuse("apply/postponed", updates.summary, detail.trim());
}

function leftAsTheyAre({ mode }: Plan, unreachable: readonly Diagnostic[]): Diagnostic {
  const names = unreachable.map(({ address }) => address).join(", ");
  const [was, it, is, answer] =
    unreachable.length === 1 ? ["was", "it", "is", "it answers"] : ["were", "they", "are", "they answer"];
  const untouched = mode === "destroy" ? "If haplan has put anything there, it stays." : "Nothing was changed there.";
  return {
    severity: "warning",
    code: "apply/unreachable",
    summary: `${names} ${was} left as ${it} ${is}, because ${it} ${is} unreachable`,
    detail: `${untouched} Run haplan ${mode} again once ${answer}${mode === "destroy" ? `, ${askedFor}` : ""}.`,
  };
}

/** The state does not have what was left: such machines are destroyed only where that is approved by hand. */
const askedFor = "in a terminal and without -auto-approve: it asks, because no state has what is there";

function leftoverWarning({ mode }: Pick<Plan, "mode">, { host, reason }: HostFailure): Diagnostic {
  const there =
    mode === "destroy"
      ? `What haplan has put there stays: an interrupted upload below ${installDir}, or whole machines, with their data below ${dataDir} and their units. Run haplan destroy again once the host answers, ${askedFor}.`
      : `What an interrupted upload has left there is below ${installDir}. Remove that directory by hand, unless another cluster has machines on the host.`;
  return {
    severity: "warning",
    code: "apply/leftovers",
    summary: `haplan may have left something on ${host}`,
    detail: `${reason}\n${there}`,
  };
}
