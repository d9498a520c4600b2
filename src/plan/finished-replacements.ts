/**
 * Finds the requested replacements that an interrupted plan has completed: requesting them again would replace them
 * again.
 */

import { asRequested } from "./change-reason.ts";
import type { Plan } from "./plan.ts";
import type { ResourceAddress } from "./resource.ts";
import { replacedThing } from "./rules/requested-replacements.ts";
import type { Step, StepAction } from "./step.ts";

/** Steps after the new object is in place; a new plan contains them without a request. */
const afterwards: ReadonlySet<StepAction["kind"]> = new Set(["removeMember", "recordState", "reloadAgent"]);

/** Of two machines of one name, this step destroys the one that was replaced. */
function endsFormer(action: StepAction): boolean {
  return (action.kind === "stopAgent" || action.kind === "destroyMachine") && action.generation !== undefined;
}

/** Addresses that were replaced as requested; `remaining` are the incomplete steps. */
export function finishedReplacements(plan: Plan, remaining: readonly Step[]): ReadonlySet<ResourceAddress> {
  const making = remaining.filter(({ action }) => !afterwards.has(action.kind) && !endsFormer(action));
  const unfinished = new Set(making.flatMap(({ addresses }) => addresses).map(replacedThing));
  const asked = plan.changes.filter(({ reasonCode }) => reasonCode === asRequested.code).map(({ address }) => address);
  return new Set(asked.filter((address) => !unfinished.has(replacedThing(address))));
}
