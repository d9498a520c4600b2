/**
 * Which replacements that were asked for are done, of a plan that was cut off: asking for them once more would be asking
 * for another one.
 */

import { asRequested } from "./change-reason.ts";
import type { Plan } from "./plan.ts";
import type { ResourceAddress } from "./resource.ts";
import { replacedThing } from "./rules/requested-replacements.ts";
import type { Step, StepAction } from "./step.ts";

/** What comes after the new object is in its place, and is planned again without being asked for. */
const afterwards: ReadonlySet<StepAction["kind"]> = new Set(["removeMember", "recordState", "reloadAgent"]);

/** Of two machines of one name, it ends the one that was replaced. */
function endsFormer(action: StepAction): boolean {
  return (action.kind === "stopAgent" || action.kind === "destroyMachine") && action.generation !== undefined;
}

/** Addresses of what was replaced as requested; `remaining` are the steps that are not done. */
export function finishedReplacements(plan: Plan, remaining: readonly Step[]): ReadonlySet<ResourceAddress> {
  const making = remaining.filter(({ action }) => !afterwards.has(action.kind) && !endsFormer(action));
  const unfinished = new Set(making.flatMap(({ addresses }) => addresses).map(replacedThing));
  const asked = plan.changes.filter(({ reasonCode }) => reasonCode === asRequested.code).map(({ address }) => address);
  return new Set(asked.filter((address) => !unfinished.has(replacedThing(address))));
}
