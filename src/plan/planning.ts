/** The input of every rule of the planner: everything that the plan depends on, and the draft that the rule adds to. */
import type { DesiredResource } from "./desired-resources.ts";
import type { PlanDraft } from "./plan-draft.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { World } from "./world.ts";

export type Planning = PlannerInput & {
  /** The resources of the spec; none if everything is to be destroyed. */
  readonly desired: readonly DesiredResource[];
  /** State and observation, merged. */
  readonly world: World;
  readonly draft: PlanDraft;
};
