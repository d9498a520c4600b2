/**
 * A plan in Terraform's JSON form (format 1.2, `terraform show -json`), which policy and review tools read; what
 * Terraform has no word for (steps, the quorum timeline, what the plan is bound to) is below the key `haplan`.
 * Sensitive values are never in a plan, so there is nothing to hide here but their names.
 */
import type { ChangeAction, Plan, ResourceChange } from "../../../src/plan/plan.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import type { Attributes, Json } from "../../../src/plan/resource.ts";

export const providerName = "registry.haplan.dev/haplan/local";

const terraformActions: Readonly<Record<ChangeAction, readonly string[]>> = {
  noop: ["no-op"],
  create: ["create"],
  update: ["update"],
  delete: ["delete"],
  deleteThenCreate: ["delete", "create"],
  createThenDelete: ["create", "delete"],
};

export function planToJson(plan: Plan): object {
  return {
    format_version: "1.2",
    planned_values: {
      root_module: { resources: plan.changes.filter(({ after }) => after !== null).map(plannedValue) },
    },
    resource_changes: plan.changes.map(changeToJson),
    resource_drift: plan.drift.map(changeToJson),
    output_changes: {},
    configuration: { root_module: {} },
    checks: [],
    applyable: planHasChanges(plan),
    complete: true,
    errored: false,
    haplan: {
      format_version: plan.formatVersion,
      plan_id: plan.id,
      mode: plan.mode,
      binding: plan.binding,
      spec: plan.spec,
      steps: plan.steps,
      quorum: plan.timeline,
      warnings: plan.warnings,
    },
  };
}

function changeToJson(change: ResourceChange): object {
  return {
    address: change.address,
    mode: "managed",
    type: change.type,
    name: change.name,
    provider_name: providerName,
    change: {
      actions: terraformActions[change.action],
      before: visible(change.before, change.sensitive),
      after: visible(change.after, change.sensitive),
      after_unknown: change.after === null ? {} : flags(change.unknownAfter),
      before_sensitive: change.before === null ? false : flags(change.sensitive),
      after_sensitive: change.after === null ? false : flags(change.sensitive),
      ...(change.forcesReplacement.length === 0
        ? {}
        : { replace_paths: change.forcesReplacement.map((name) => [name]) }),
    },
    ...(change.forcesReplacement.length === 0 ? {} : { action_reason: "replace_because_cannot_update" }),
    ...(change.reason === null ? {} : { haplan_reason: change.reason }),
  };
}

function plannedValue(change: ResourceChange): object {
  return {
    address: change.address,
    mode: "managed",
    type: change.type,
    name: change.name,
    provider_name: providerName,
    schema_version: 0,
    values: visible(change.after, change.sensitive),
    sensitive_values: flags(change.sensitive),
  };
}

function visible(attributes: Attributes | null, sensitive: readonly string[]): Json {
  if (attributes === null) return null;
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !sensitive.includes(name)));
}

function flags(names: readonly string[]): { readonly [name: string]: true } {
  return Object.fromEntries(names.map((name) => [name, true as const]));
}
