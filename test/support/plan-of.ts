import type { Plan } from "../../src/plan/plan.ts";
import { planChanges } from "../../src/plan/planner.ts";
import type { PlannerInput } from "../../src/plan/planner-input.ts";

/** The plan that the input leads to. @throws Error with what it is refused for */
export function planOf(input: PlannerInput): Plan {
  const { plan, refusal } = planChanges(input);
  if (plan === undefined) throw new Error(refusal.map(({ summary }) => summary).join("\n"));
  return plan;
}
