/** `haplan plan [SPEC]`: what would be done, in which order, and what becomes of the quorum meanwhile. */
import { planHasChanges } from "../../../src/plan/planner.ts";
import { chooseSpec, rememberSpec } from "../choose-spec.ts";
import { type CliContext, type ExitCode, refuse } from "../cli-context.ts";
import { parseSwitch } from "../lock-state.ts";
import { makePlan } from "../make-plan.ts";
import { writePlanFile } from "../saved-plan.ts";
import { openSession } from "../session.ts";
import { planLines } from "../views/apply-json.ts";
import { planToJson } from "../views/plan-json.ts";
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
};

export async function runPlan(
  context: CliContext,
  specArgument: string | undefined,
  flags: PlanFlags,
): Promise<ExitCode> {
  const { terminal, reporter } = context;
  const session = await openSession(context, chooseSpec(context, specArgument));
  const wishes = {
    mode: flags.destroy ? "destroy" : "apply",
    replace: flags.replace ?? [],
    target: flags.target ?? [],
    refreshOnly: flags.refreshOnly ?? false,
    refresh: parseSwitch("-refresh", flags.refresh),
  } as const;
  if (!wishes.refresh && flags.out !== undefined) throw blindPlan();
  const plan = await makePlan(context, session, wishes);
  rememberSpec(context, { clusterName: session.spec.name, spec: session.specPath, planId: plan.id });
  if (flags.out !== undefined) writePlanFile(context, flags.out, plan, session.specPath);
  for (const line of planLines(plan)) reporter.event(line);
  reporter.warn(plan.warnings);
  reporter.notice(`haplan plan: ${plan.spec.name}`, planSentence(plan));
  terminal.print(flags.json ? JSON.stringify(planToJson(plan), null, 2) : renderPlan(plan, terminal.paint));
  if (!flags.json && planHasChanges(plan)) terminal.print(`\n${terminal.paint.dim(note(flags.out, session.specPath))}`);
  return flags.detailedExitcode && planHasChanges(plan) ? 2 : 0;
}

function blindPlan(): Error {
  return refuse(
    "cli/blind-plan",
    "A plan that did not look at the cluster cannot be saved",
    "Members may have failed or moved since the state was written, and a plan is bound to who votes now. Leave out -refresh=false or -out.",
  );
}

function note(out: string | undefined, specPath: string): string {
  const rule = "─".repeat(77);
  if (out === undefined) {
    return `${rule}\n\nNote: You didn't use the -out option to save this plan, so haplan can't\nguarantee to take exactly these actions if you run "haplan apply ${specPath}" now.`;
  }
  return `${rule}\n\nSaved the plan to: ${out}\n\nTo perform exactly these actions, run the following command to apply:\n    haplan apply ${JSON.stringify(out)}`;
}
