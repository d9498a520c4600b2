/**
 * What is left of a plan when only a part of it was asked for: `target` (some resources, with all that they wait for)
 * or `refreshOnly` (nothing but the state is brought up to date). Membership changes are taken whole or not at all: half
 * of one would leave the control plane between two designs.
 */
import { nearestName } from "../spec/nearest-name.ts";
import type { ResourceChange } from "./plan.ts";
import type { PlanDraft } from "./plan-draft.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { Planning } from "./planning.ts";
import type { ResourceAddress } from "./resource.ts";
import type { Step } from "./step.ts";
import { stepId, stepTitle } from "./step-name.ts";
import { traitsOf } from "./step-traits.ts";

/** `imports` are the addresses of what is there and not in the state. */
export function narrowSteps(planning: Planning, imports: readonly ResourceAddress[]): readonly Step[] {
  const { desired, world, draft, mode, target = [], refreshOnly = false } = planning;
  // All that a target may name.
  const known = [...desired.map(({ address }) => address), ...world.resources.keys(), ...draft.verdicts.keys()];
  if (refreshOnly) {
    draft.warn(
      "plan/refresh-only",
      "This plan brings the state up to date and changes nothing else",
      "What differs from the spec stays as it is. Plan without -refresh-only to see what would put it right.",
    );
    checkTargets(target, known, draft);
    return recordOnly(draft.steps, imports, target);
  }
  if (target.length === 0) return draft.steps;
  checkTargets(target, known, draft);
  draft.warn(
    "plan/targeted",
    "Resource targeting is in effect",
    "The plan holds only what was asked for, and what that depends on: other differences from the spec stay. Use -target for exceptions, not as a habit.",
  );
  return chosenSteps(draft.steps, target, mode === "apply");
}

/** What other steps would have recorded on their way is recorded by this one. */
function recordOnly(
  steps: readonly Step[],
  imports: readonly ResourceAddress[],
  target: readonly string[],
): readonly Step[] {
  const planned = steps.filter(({ action }) => action.kind === "recordState").flatMap(({ addresses }) => addresses);
  const found = [...new Set([...planned, ...imports])];
  const addresses = target.length === 0 ? found : found.filter((address) => target.includes(address));
  if (addresses.length === 0) return [];
  const action = { kind: "recordState" } as const;
  return [{ id: stepId(action), title: stepTitle(action), action, addresses, after: [] }];
}

/** `whole`: half of a change of the control plane is none. In the end of a cluster there is no design to keep. */
function chosenSteps(steps: readonly Step[], target: readonly string[], whole: boolean): readonly Step[] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const chosen = new Set<Step>();
  const choose = (step: Step): void => {
    if (chosen.has(step)) return;
    chosen.add(step);
    for (const id of step.after) choose(byId.get(id)!);
    if (!whole || traitsOf(step.action).targeting !== "controlPlane") return;
    for (const other of steps) if (traitsOf(other.action).targeting !== "itself") choose(other);
  };
  for (const step of steps) if (step.addresses.some((address) => target.includes(address))) choose(step);
  return steps.filter((step) => chosen.has(step));
}

/** Changes that no step of the narrowed plan makes are not made: what is there stays, what is not is not shown. */
export function narrowChanges(
  { target = [], refreshOnly = false }: PlannerInput,
  changes: readonly ResourceChange[],
  steps: readonly Step[],
): readonly ResourceChange[] {
  if (target.length === 0 && !refreshOnly) return changes;
  const touched = new Set(steps.flatMap(({ addresses }) => addresses));
  return changes.flatMap((change): readonly ResourceChange[] => {
    if (change.importing !== undefined) return touched.has(change.address) ? [importOnly(change, refreshOnly)] : [];
    if (change.action === "noop" || touched.has(change.address)) return [change];
    if (change.before === null) return [];
    return [{ ...change, action: "noop", reason: null, after: change.before, unknownAfter: [], forcesReplacement: [] }];
  });
}

/** Recorded as it is found; what the spec would change about it stays to be done. */
function importOnly(change: ResourceChange, refreshOnly: boolean): ResourceChange {
  if (!refreshOnly || change.action === "noop") return change;
  return { ...change, action: "noop", reason: null, unknownAfter: [], forcesReplacement: [] };
}

function checkTargets(target: readonly string[], known: readonly string[], draft: PlanDraft): void {
  for (const address of target) if (!known.includes(address)) refuseTarget(address, known, draft);
}

function refuseTarget(address: string, known: readonly string[], draft: PlanDraft): void {
  const nearest = nearestName(address, known);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  draft.refuse(
    "plan/unknown-target",
    `There is no resource "${address}" to target`,
    `${hint}Write the address of a resource in the spec or the state, such as haplan_worker.w1.`,
  );
}
