/**
 * Reduces a plan to a part: `target` (some resources with their dependencies) or `refreshOnly` (only updates the
 * state). Membership changes are taken as a whole or not at all: half of one would leave the control plane between two
 * configurations.
 */
import { nearestName } from "../spec/nearest-name.ts";
import type { ResourceChange } from "./plan.ts";
import type { PlanBuilder } from "./plan-builder.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { Planning } from "./planning.ts";
import type { ResourceAddress } from "./resource.ts";
import type { Step } from "./step.ts";
import { stepId, stepTitle } from "./step-name.ts";
import { traitsOf } from "./step-traits.ts";

/** `imports` are the addresses of resources that exist but are not in the state. */
export function applyTargets(planning: Planning, imports: readonly ResourceAddress[]): readonly Step[] {
  const { desired, view, builder, mode, target = [], refreshOnly = false } = planning;
  // All addresses that may be targeted.
  const known = [...desired.map(({ address }) => address), ...view.resources.keys(), ...builder.actions.keys()];
  if (refreshOnly) {
    builder.warn(
      "plan/refresh-only",
      "This plan updates the state and changes nothing else",
      "Differences from the spec remain. Plan without -refresh-only to see what would resolve them.",
    );
    checkTargets(target, known, builder);
    return recordOnly(builder.steps, imports, target);
  }
  if (target.length === 0) return builder.steps;
  checkTargets(target, known, builder);
  builder.warn(
    "plan/targeted",
    "Resource targeting is in effect",
    "The plan contains only the targets and their dependencies; other differences from the spec remain. Use -target for exceptions, not as a routine.",
  );
  return chosenSteps(builder.steps, target, mode === "apply");
}

/** This step records what other steps would have recorded. */
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

/**
 * `whole`: half of a control plane change is not allowed. When a cluster is destroyed there is no configuration to
 * keep.
 */
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

/** Drops changes that no step of the reduced plan makes. */
export function targetedChanges(
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

/** Recorded as found; differences from the spec remain to be applied. */
function importOnly(change: ResourceChange, refreshOnly: boolean): ResourceChange {
  if (!refreshOnly || change.action === "noop") return change;
  return { ...change, action: "noop", reason: null, unknownAfter: [], forcesReplacement: [] };
}

function checkTargets(target: readonly string[], known: readonly string[], builder: PlanBuilder): void {
  for (const address of target) if (!known.includes(address)) refuseTarget(address, known, builder);
}

function refuseTarget(address: string, known: readonly string[], builder: PlanBuilder): void {
  const nearest = nearestName(address, known);
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  builder.refuse(
    "plan/unknown-target",
    `There is no resource "${address}" to target`,
    `${hint}Write the address of a resource in the spec or the state, such as haplan_worker.w1.`,
  );
}
