/**
 * The events of apply for programs: one JSON object per line, in the format of Terraform's machine-readable UI (ui
 * 1.2).
 */
import type { ApplyEvent } from "../../../src/apply/apply-event.ts";
import { outcomeOf } from "../../../src/apply/write-availability.ts";
import type { Plan, ResourceChange } from "../../../src/plan/plan.ts";
import type { Step } from "../../../src/plan/step.ts";
import { gapSpentSentence, preparingSentence, summarySentence, writesSentence } from "./apply-view.ts";
import { planCounts, planCountsSentence } from "./plan-view.ts";
import { snakeKeys } from "./snake-keys.ts";
import type { UiLine } from "./ui-line.ts";

type Resource = Pick<ResourceChange, "address" | "type" | "name">;

/** Everything known before the first step: all changes, the drift, the summary. */
export function planLines(plan: Plan): readonly UiLine[] {
  const { import: imports, add, change, destroy } = planCounts(plan);
  const lines = (changes: readonly ResourceChange[], type: string, verb: string): readonly UiLine[] =>
    changes
      .filter((item) => actionWord(item) !== "noop")
      .map((item) => {
        const action = actionWord(item);
        const importing = item.importing === undefined ? {} : { importing: item.importing };
        const reported = { resource: resourceOf(item), ...previousOf(item), action, ...reasonOf(item), ...importing };
        return { type, message: `${item.address}: ${verb} ${action}`, change: reported };
      });
  return [
    ...lines(plan.drift, "resource_drift", "Drift detected:"),
    ...lines(plan.changes, "planned_change", "Plan to"),
    {
      type: "change_summary",
      // Also if there is nothing to do, as in Terraform's stream.
      message: planCountsSentence(plan),
      changes: { add, change, import: imports, remove: destroy, operation: "plan" },
      plan_id: plan.id,
    },
  ];
}

/** Terraform's reason where one fits, and haplan's as text. */
function reasonOf({ action, reason, reasonCode, forcesReplacement }: ResourceChange): object {
  if (reason === null) return {};
  const requested = reasonCode === "requested" ? "requested" : null;
  const removed = action === "delete" && reasonCode === "notInSpec" ? "delete_because_no_resource_config" : null;
  const known = forcesReplacement.length > 0 ? "cannot_update" : (requested ?? removed);
  return { ...(known === null ? {} : { reason: known }), haplan_reason: reason };
}

/** A pure import or move has no other action; if the resource changes as well, its change reports that. */
export function actionWord({ action, importing, movedFrom }: ResourceChange): string {
  if (action === "createThenDelete" || action === "deleteThenCreate") return "replace";
  if (action !== "noop") return action;
  return importing !== undefined ? "import" : movedFrom !== undefined ? "move" : action;
}

function previousOf({ type, movedFrom }: ResourceChange): object {
  if (movedFrom === undefined) return {};
  const name = movedFrom.slice(type.length + 1);
  return { previous_resource: resourceOf({ address: movedFrom, type, name }) };
}

/** Refreshing the resources of the state, start and end. */
export function refreshLines(
  type: "refresh_start" | "refresh_complete",
  resources: readonly Resource[],
): readonly UiLine[] {
  const word = type === "refresh_start" ? "Refreshing state..." : "Refresh complete";
  return resources.map((resource) => ({
    type,
    message: `${resource.address}: ${word}`,
    hook: { resource: resourceOf(resource), id_key: "id", id_value: resource.name },
  }));
}

export function outputsLine(outputs: object): UiLine {
  return { type: "outputs", message: `Outputs: ${Object.keys(outputs).length}`, outputs };
}

/** `prepare`, `step_*`, `quorum_gate` and `membership_change` are haplan's own types; the others are Terraform's. */
export function applyEventLine(event: ApplyEvent, mode: Plan["mode"]): UiLine {
  switch (event.kind) {
    case "preparing":
      return { type: "prepare", message: `${preparingSentence(event)}...`, machines: event.machines };
    case "planned": {
      const steps = event.steps.map(stepOf);
      const message = `${steps.length} steps, ${event.alreadyDone.length} of them already complete`;
      return { type: "steps", message, plan_id: event.planId, steps, already_done: event.alreadyDone };
    }
    case "stepStarted":
      return { type: "step_start", message: `${event.step.title}...`, step: stepOf(event.step) };
    case "stepProgress": {
      const message = `${event.step.title}: still running${event.detail === null ? "" : `, ${event.detail}`}`;
      return { type: "step_progress", message, ...timed(event), detail: event.detail };
    }
    case "stepCompleted": {
      const { adopted, id } = event;
      return { type: "step_complete", message: `${event.step.title}: complete`, ...timed(event), adopted, id };
    }
    case "stepFailed": {
      const { code, detail } = event;
      const message = `${event.step.title}: ${event.message}`;
      return { type: "step_errored", level: "error", message, ...timed(event), code, detail };
    }
    case "quorumGate": {
      const { step, kind: _, ...fields } = event;
      return {
        type: "quorum_gate",
        level: event.open ? "info" : "warn",
        message: event.reason,
        step: stepOf(step),
        ...(snakeKeys(fields) as object),
      };
    }
    case "membershipChange": {
      const { step, kind: _, ...members } = event;
      return {
        type: "membership_change",
        message: `voters: ${event.voters.join(", ")}`,
        step: stepOf(step),
        ...(snakeKeys(members) as object),
      };
    }
    case "stepWarning":
      return { type: "step_warning", level: "warn", message: event.message, step: stepOf(event.step) };
    case "writeGapSpent": {
      const { budgetMs, gapMs, running } = event;
      return {
        type: "write_gap_spent",
        level: "error",
        message: gapSpentSentence(event),
        budget_ms: budgetMs,
        gap_ms: Number.isFinite(gapMs) ? Math.round(gapMs) : null,
        running: running.map(stepOf),
      };
    }
    case "writeAvailability":
      return {
        type: "write_availability",
        message: writesSentence(event.availability, event.budgetSpent),
        ...availabilityFields(event),
      };
    case "applied": {
      const { imported, added, changed, destroyed, degraded } = event.summary;
      const message = summarySentence(mode, event.summary);
      const changes = { add: added, change: changed, import: imported, remove: destroyed, operation: mode };
      return { type: "change_summary", message, changes, degraded };
    }
  }
}

/** Whole milliseconds; only `measured` if it is false. `outcome` is the meaning of the message. */
function availabilityFields({
  availability,
  budgetSpent,
}: Extract<ApplyEvent, { readonly kind: "writeAvailability" }>): object {
  if (availability === null) return { measured: false };
  const { attempts, failed, firstFailure, longestGapMs, unavailableMs, measuredMs, steps } = availability;
  return {
    measured: true,
    outcome: outcomeOf(availability, budgetSpent),
    attempts,
    failed,
    first_failure: firstFailure,
    longest_gap_ms: longestGapMs,
    unavailable_ms: unavailableMs,
    measured_ms: measuredMs,
    steps: steps.map((step) => snakeKeys(step)),
  };
}

function timed(event: { readonly step: Step; readonly elapsedMs: number }): object {
  return { step: stepOf(event.step), elapsed_seconds: Math.round(event.elapsedMs / 100) / 10 };
}

function stepOf(step: Step): object {
  return { id: step.id, title: step.title, action: step.action.kind, resources: step.addresses };
}

export function resourceOf({ address, type, name }: Resource): object {
  return {
    addr: address,
    module: "",
    resource: address,
    implied_provider: "haplan",
    resource_type: type,
    resource_name: name,
    resource_key: null,
  };
}
