/** The input of every rule of the planner: everything that the plan depends on, and the builder that the rule adds to. */

import type { ClusterView } from "./cluster-view.ts";
import type { DesiredResource } from "./desired-resources.ts";
import type { PlanBuilder } from "./plan-builder.ts";
import type { PlannerInput } from "./planner-input.ts";

export type Planning = PlannerInput & {
  /** The resources of the spec; none if everything is to be destroyed. */
  readonly desired: readonly DesiredResource[];
  /** State and observation, merged. */
  readonly view: ClusterView;
  readonly builder: PlanBuilder;
};
