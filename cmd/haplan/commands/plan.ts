/** `haplan plan [SPEC]`: the changes, the order of the steps, and the quorum after each of them. */
import type { CommandWords } from "../../../src/base/command-words.ts";
import type { Plan } from "../../../src/plan/plan.ts";
import { planHasChanges, planTellsChanges } from "../../../src/plan/planner.ts";
import { isNothingCompared } from "../../../src/plan/rules/unreachable.ts";
import { checkPlan } from "../check-plan.ts";
import { recordSpec } from "../choose-spec.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { besideDestroy } from "../flags-beside-destroy.ts";
import type { Invocation } from "../invocation.ts";
import { parseSwitch } from "../lock-state.ts";
import { makePlan } from "../make-plan.ts";
import { openCluster, openClusterToDestroy } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { writePlanFile } from "../saved-plan.ts";
import type { Session } from "../session.ts";
import { standardInput } from "../spec-source.ts";
import { assertPassphrase, passphraseWarnings } from "../state-passphrase.ts";
import { planLines } from "../views/apply-json.ts";
import { planSentence, renderPlan } from "../views/plan-view.ts";

type PlanFlags = {
  readonly json?: boolean;
  readonly out?: string;
  readonly detailedExitcode?: boolean;
  readonly destroy?: boolean;
  readonly replace?: readonly string[];
  readonly target?: readonly string[];
  readonly refreshOnly?: boolean;
  readonly refresh: string;
  readonly stateOnly?: string;
};

export async function runPlan(
  context: CliContext,
  specArgument: string | undefined,
  flags: PlanFlags,
): Promise<ExitCode> {
  const choice = { spec: specArgument, stateOnly: flags.stateOnly };
  if (flags.stateOnly !== undefined && !flags.destroy) throw stateOnlyPlan(flags.stateOnly);
  if (flags.destroy && flags.refreshOnly) throw besideDestroy("-refresh-only");
  const session = flags.destroy ? await openClusterToDestroy(context, choice) : await openCluster(context, choice);
  const options = {
    mode: flags.destroy ? "destroy" : "apply",
    replace: flags.replace ?? [],
    target: flags.target ?? [],
    refreshOnly: flags.refreshOnly ?? false,
    refresh: parseSwitch("-refresh", flags.refresh),
  } as const;
  if (!options.refresh && flags.out !== undefined) throw unrefreshedPlan();
  if (flags.out !== undefined) assertPassphrase(context, session.spec);
  const plan = await makePlan(context, session, options);
  await reportPlan(context, session, plan, flags.out, options.refresh);
  if (!context.reporter.json && planHasChanges(plan)) {
    context.terminal.print(`\n${note(context, nextStep(context.invocation, specArgument, flags))}`);
  }
  if (flags.detailedExitcode && isNothingCompared(plan)) throw nothingCompared();
  return flags.detailedExitcode && planTellsChanges(plan) ? 2 : 0;
}

/** A job that looks for drift by the exit code is not to take this for "no changes". */
function nothingCompared(): Error {
  return refuse(
    "plan/nothing-compared",
    "No machine was reached, so that nothing was compared with the spec",
    "The warnings above say why. With -detailed-exitcode, this plan is neither without changes (0) nor with changes (2).",
  );
}

/** Saves the plan to `out`, and shows it with the command that applies it. */
export async function reportSavedPlan(context: CliContext, session: Session, plan: Plan, out: string): Promise<void> {
  await reportPlan(context, session, plan, out);
  if (!context.reporter.json) context.terminal.print(`\n${note(context, savedPlanText(context.invocation, out))}`);
}

async function reportPlan(
  context: CliContext,
  session: Session,
  plan: Plan,
  out: string | undefined,
  refreshed = true,
): Promise<void> {
  const { terminal, reporter } = context;
  recordSpec(context, { clusterName: session.spec.name, spec: session.specPath, planId: plan.id });
  for (const line of planLines(plan)) reporter.event(line);
  const unsealed = planHasChanges(plan) ? passphraseWarnings(context, session.spec) : [];
  reporter.warn([...unsealed, ...plan.warnings]);
  reporter.notice(`haplan plan: ${plan.spec.name}`, planSentence(plan));
  if (!reporter.json) terminal.print(renderPlan(plan, { ...terminal, refreshed }));
  if (refreshed) await checkPlan(context, session, plan);
  if (out !== undefined) writePlanFile(context, out, plan, session.specPath);
}

function stateOnlyPlan(name: string): Error {
  return refuse(
    "cli/state-only-plan",
    "This plan needs the spec",
    `Pass the spec, or plan to destroy ${name} without it:`,
    [["plan", "-destroy", `-state-only=${name}`]],
  );
}

function unrefreshedPlan(): Error {
  return refuse(
    "cli/blind-plan",
    "A plan without a refresh cannot be saved",
    "Members may have failed or changed since the state was written, and a plan is bound to the current voters. Omit -refresh=false or -out.",
  );
}

function note({ terminal }: CliContext, text: string): string {
  return terminal.paint.dim(`${"─".repeat(77)}\n\n${text}`);
}

function savedPlanText(invocation: Invocation, out: string): string {
  return `Saved the plan to: ${out}\n\nTo perform exactly these actions, run the following command to apply:\n    ${invocation.applySaved(out)}`;
}

function nextStep(invocation: Invocation, spec: string | undefined, flags: PlanFlags): string {
  if (flags.out !== undefined) return savedPlanText(invocation, flags.out);
  const unsaved =
    "Note: You didn't use the -out option to save this plan, so haplan can't\nguarantee to take exactly these actions";
  if (spec === standardInput)
    return `${unsaved}. The spec came from standard input:\nsave the plan with -out=FILE, and apply FILE.`;
  return `${unsaved} if you run this command now:\n    ${invocation.line(applyWords(flags))}`;
}

/** The command that applies what these flags plan. */
function applyWords({ destroy, replace = [], target = [], refreshOnly }: PlanFlags): CommandWords {
  const targets = target.map((address) => `-target=${address}`);
  if (destroy) return ["destroy", ...targets];
  const replacements = replace.map((address) => `-replace=${address}`);
  return ["apply", ...(refreshOnly ? ["-refresh-only"] : []), ...replacements, ...targets];
}
