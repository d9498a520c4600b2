/**
 * A plan as text: Terraform's symbols, sentences and summary line, so that tools that read Terraform's output can read
 * it; the drift is a section of its own, and the quorum timeline precedes the summary.
 */
import type { Diagnostic } from "../../../src/base/diagnostic.ts";
import type { ChangeAction, Plan, ResourceChange } from "../../../src/plan/plan.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import { installsPrograms, unreachableMachines, unreachableWarnings } from "../../../src/plan/rules/unreachable.ts";
import type { Paint } from "../paint.ts";
import { attributeLines, paintSymbol } from "./attribute-lines.ts";
import { renderTimeline } from "./timeline-view.ts";

type Wording = { readonly symbol: string; readonly legend: string; readonly sentence: string };

const wordings: Readonly<Record<Exclude<ChangeAction, "noop">, Wording>> = {
  create: { symbol: "+", legend: "create", sentence: "will be created" },
  update: { symbol: "~", legend: "update in-place", sentence: "will be updated in-place" },
  delete: { symbol: "-", legend: "destroy", sentence: "will be destroyed" },
  deleteThenCreate: { symbol: "-/+", legend: "destroy and then create replacement", sentence: "must be replaced" },
  createThenDelete: { symbol: "+/-", legend: "create replacement and then destroy", sentence: "must be replaced" },
};

export type PlanCounts = {
  readonly import: number;
  readonly add: number;
  readonly change: number;
  readonly destroy: number;
};

/**
 * The number of objects that a plan imports, adds, changes and destroys. A replacement counts as both added and
 * destroyed, and an imported object that changes counts as both.
 */
export function planCounts(plan: Plan): PlanCounts {
  const count = (...actions: readonly ChangeAction[]): number =>
    plan.changes.filter(({ action }) => actions.includes(action)).length;
  return {
    import: plan.changes.filter(({ importing }) => importing !== undefined).length,
    add: count("create", "createThenDelete", "deleteThenCreate"),
    change: count("update"),
    destroy: count("delete", "createThenDelete", "deleteThenCreate"),
  };
}

/** The plan in one sentence, which tools that read Terraform's output look for. */
export function planSentence(plan: Plan): string {
  return planHasChanges(plan) ? planCountsSentence(plan) : nothingToDo(plan).join(" ");
}

/** The two parts of the message for a plan without steps; the first one is the result. */
export function nothingToDo(plan: Plan): readonly [string, string] {
  const { mode, drift, refreshOnly } = plan;
  if (installsPrograms(plan) && !refreshOnly) {
    return [
      "haplan's programs have to be installed again.",
      "apply does that before anything else, and then plans what else is to be done.",
    ];
  }
  if (drift.length > 0 && refreshOnly) {
    return ["Changes outside of haplan, and nothing to record.", "A refresh-only plan takes no actions to undo them."];
  }
  if (drift.length > 0 && mode === "apply") {
    return ["Changes outside of haplan, and nothing to do.", "haplan has no action that would undo them."];
  }
  if (mode === "destroy") return ["No changes.", "No objects need to be destroyed."];
  if (refreshOnly) return ["No changes.", "The state matches the observed cluster."];
  if (unreachableWarnings(plan).length > 0) {
    return ["No changes.", "What answered matches the configuration; unreachable machines were not compared."];
  }
  return ["No changes.", "Your infrastructure matches the configuration."];
}

/** The updates that wait for members that are down, told as a warning; undefined if there are none. */
export function postponedUpdates({ warnings }: Plan): Diagnostic | undefined {
  return warnings.find(({ code }) => code === "plan/postponed");
}

/** The same for plans with and without changes. */
export function planCountsSentence(plan: Plan): string {
  return `Plan: ${countsText(plan)}`;
}

/** Imports are shown only if there are any, as in Terraform. */
function countsText(plan: Plan): string {
  const { import: imports, add, change, destroy } = planCounts(plan);
  return `${imports === 0 ? "" : `${imports} to import, `}${add} to add, ${change} to change, ${destroy} to destroy.`;
}

export type PlanView = {
  readonly paint: Paint;
  /** Of the terminal; null for output that goes elsewhere. */
  readonly columns?: number | null;
  /** Whether the cluster was observed for it. */
  readonly refreshed?: boolean;
};

/** The whole plan as text, without a line end. */
export function renderPlan(plan: Plan, { paint, columns = null, refreshed = true }: PlanView): string {
  const drift = renderDrift(plan, paint);
  if (!planHasChanges(plan)) return [...drift, renderNoChanges(plan, paint, refreshed)].join("\n");
  const changes = plan.changes.filter(
    ({ action, importing, movedFrom }) => action !== "noop" || importing !== undefined || movedFrom !== undefined,
  );
  const end = [
    ...renderSteps(plan),
    ...renderTimeline(plan, paint, columns),
    "",
    `${paint.bold("Plan:")} ${countsText(plan)}`,
  ];
  if (changes.length === 0) {
    const onlyRecords = plan.steps.every(({ action }) => action.kind === "recordState");
    const what = onlyRecords ? "only its state:" : "and perform these steps:";
    return [...drift, `haplan will change no resource, ${what}`, "", ...end].join("\n");
  }
  return [
    ...drift,
    "haplan generated the following execution plan. Resource actions are indicated",
    "with the following symbols:",
    ...legend(changes, paint),
    "",
    "haplan will perform the following actions:",
    "",
    ...changes.flatMap((item) => [...renderChange(item, paint), ""]),
    ...end,
  ].join("\n");
}

function renderNoChanges(plan: Plan, paint: Paint, refreshed: boolean): string {
  const [first, second] = nothingToDo(plan);
  const hasDrift = plan.drift.length > 0 && plan.mode === "apply";
  const isWarning = hasDrift || installsPrograms(plan);
  const line = `${paint.bold(isWarning ? paint.yellow(first) : paint.green(first))} ${second}`;
  if (plan.mode === "destroy" || plan.refreshOnly || hasDrift || installsPrograms(plan)) return line;
  if (!refreshed) return `${line}\n\nhaplan compared the state with the spec, without refreshing it (-refresh=false).`;
  const silent = unreachableMachines(plan);
  const compared = plan.spec.controlPlane.masters.filter(({ name }) => !silent.has(name)).length;
  if (compared === 0) return line;
  const masters = compared === 1 ? "1 running master" : `${compared} running masters`;
  return `${line}\n\nhaplan compared ${masters} with the spec and found no differences.`;
}

function legend(changes: readonly ResourceChange[], paint: Paint): readonly string[] {
  return Object.entries(wordings)
    .filter(([action]) => changes.some((item) => item.action === action))
    .map(([, { symbol, legend: text }]) => `${" ".repeat(3 - symbol.length)}${paintSymbol(symbol, paint)} ${text}`);
}

function renderChange(change: ResourceChange, paint: Paint): readonly string[] {
  if (change.action === "noop")
    return change.movedFrom === undefined ? renderImport(change, paint) : renderMove(change, paint);
  const { symbol, sentence } = wordings[change.action];
  const lead = " ".repeat(3 - symbol.length);
  return [
    paint.bold(`  # ${change.address} ${change.action === "delete" ? paint.red(sentence) : sentence}`),
    ...(change.reason === null ? [] : [paint.dim(`  # (${change.reason})`)]),
    ...(change.importing === undefined ? [] : [paint.dim(`  # (imported from "${change.importing.id}")`)]),
    ...(change.movedFrom === undefined ? [] : [paint.dim(`  # (moved from ${change.movedFrom})`)]),
    `${lead}${paintSymbol(symbol, paint)} resource "${change.type}" "${change.name}" {`,
    ...attributeLines(change, paint),
    "    }",
  ];
}

/** A pure rename is shown as in Terraform. */
function renderMove(change: ResourceChange, paint: Paint): readonly string[] {
  return [
    paint.bold(`  # ${change.movedFrom} has moved to ${change.address}`),
    `    resource "${change.type}" "${change.name}" {`,
    ...attributeLines({ ...change, before: change.after }, paint),
    "    }",
  ];
}

/** An imported object that does not change is shown all the same. */
function renderImport(change: ResourceChange, paint: Paint): readonly string[] {
  if (change.importing === undefined) return [];
  const { id } = change.importing;
  const reason = [paint.dim(`  # (${change.reason === null ? "" : `${change.reason}, `}id ${id})`)];
  const head = [paint.bold(`  # ${change.address} will be imported`), ...reason];
  const lead = `    resource "${change.type}" "${change.name}" {`;
  return [...head, lead, ...attributeLines({ ...change, before: change.after }, paint), "    }"];
}

function renderDrift(plan: Plan, paint: Paint): readonly string[] {
  if (plan.drift.length === 0) return [];
  return [
    `${paint.bold(paint.cyan("Note:"))}${paint.bold(" Objects have changed outside of haplan")}`,
    "",
    "haplan detected the following changes made outside of haplan since the last",
    '"haplan apply" which may have affected this plan:',
    "",
    ...plan.drift.flatMap((change) => {
      const deleted = change.action === "delete";
      const symbol = deleted ? "-" : "~";
      return [
        paint.bold(`  # ${change.address} has ${deleted ? "been deleted" : "changed"}`),
        ...(change.reason === null ? [] : [paint.dim(`  # (${change.reason})`)]),
        `  ${paintSymbol(symbol, paint)} resource "${change.type}" "${change.name}" {`,
        ...attributeLines(change, paint),
        "    }",
        "",
      ];
    }),
    "─".repeat(77),
    "",
  ];
}

/** Only steps that are not in the timeline. */
function renderSteps(plan: Plan): readonly string[] {
  const named = new Set(plan.timeline.flatMap(({ afterStep }) => afterStep ?? []));
  const others = plan.steps.flatMap((step, index) =>
    named.has(index) ? [] : [`  ${String(index + 1).padStart(2)} ${step.title}`],
  );
  return others.length === 0 ? [] : ["Steps that do not affect the quorum:", ...others, ""];
}
