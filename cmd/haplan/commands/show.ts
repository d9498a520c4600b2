/**
 * `haplan show [PLANFILE]`: a saved plan, or the state without PLANFILE; as text, JSON, or Markdown for a pull request.
 */
import type { CliContext, ExitCode } from "../cli-context.ts";
import { type ClusterChoice, openCluster } from "../open-cluster.ts";
import { refuse } from "../refusal.ts";
import { readPlanFile } from "../saved-plan.ts";
import { sessionState } from "../session.ts";
import { planToJson } from "../views/plan-json.ts";
import { renderPlanMarkdown } from "../views/plan-markdown.ts";
import { renderPlan } from "../views/plan-view.ts";
import { renderState, stateToJson } from "../views/state-view.ts";

type ShowFlags = { readonly json?: boolean; readonly markdown?: boolean } & ClusterChoice;

export async function runShow(context: CliContext, path: string | undefined, flags: ShowFlags): Promise<ExitCode> {
  if (path === undefined) return showState(context, flags);
  const { terminal } = context;
  const { plan } = await readPlanFile(context, path);
  if (flags.json) terminal.print(JSON.stringify(planToJson(plan), null, 2));
  else if (flags.markdown) terminal.print(renderPlanMarkdown(plan));
  else terminal.print(renderPlan(plan, terminal));
  return 0;
}

async function showState(context: CliContext, flags: ShowFlags): Promise<ExitCode> {
  const { terminal } = context;
  if (flags.markdown) {
    throw refuse("cli/no-plan-file", "No plan was given", "Write `haplan show -markdown FILE`, with a saved plan.");
  }
  const session = await openCluster(context, flags);
  const state = await sessionState(context, session);
  if (flags.json) terminal.print(JSON.stringify(stateToJson(state), null, 2));
  else if (state === null)
    terminal.print(`Nothing has been applied yet: there is no state at ${session.backend.place}.`);
  else terminal.print(renderState(state.resources, terminal.paint));
  return 0;
}
