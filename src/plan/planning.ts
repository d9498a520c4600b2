/** What every rule of the planner gets: all that the plan depends on, how it reads, and the draft that the rule writes into. */
import type { DesiredResource } from "./desired-resources.ts";
import type { PlanDraft } from "./plan-draft.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { World } from "./world.ts";

export type Planning = PlannerInput & {
  /** What the spec asks for; nothing when all is to be destroyed. */
  readonly desired: readonly DesiredResource[];
  /** State and observation, read together. */
  readonly world: World;
  readonly draft: PlanDraft;
};
