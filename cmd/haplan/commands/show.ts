/** `haplan show PLANFILE`: a saved plan, for people and for tools that read Terraform's JSON. */
import { type CliContext, type ExitCode, refuse } from "../cli-context.ts";
import { readPlanFile } from "../saved-plan.ts";
import { planToJson } from "../views/plan-json.ts";
import { renderPlan } from "../views/plan-view.ts";

export function runShow(context: CliContext, path: string | undefined, flags: { readonly json?: boolean }): ExitCode {
  if (path === undefined) {
    throw refuse(
      "cli/no-plan-file",
      "No plan was named",
      "Write `haplan show FILE`, with a file made by `haplan plan -out FILE`.",
    );
  }
  const plan = readPlanFile(context, path);
  context.terminal.print(
    flags.json ? JSON.stringify(planToJson(plan), null, 2) : renderPlan(plan, context.terminal.paint),
  );
  return 0;
}
