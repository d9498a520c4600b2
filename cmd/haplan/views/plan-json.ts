/**
 * A plan in Terraform's JSON format (format 1.2, `terraform show -json`), which policy and review tools read. Steps,
 * the quorum timeline and the binding of the plan, which Terraform does not have, are below the key `haplan`. A plan
 * never contains sensitive values, so only their names need to be marked here.
 */

import type { Json } from "../../../src/base/json.ts";
import { desiredResources } from "../../../src/plan/desired-resources.ts";
import type { Plan, ResourceChange } from "../../../src/plan/plan.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import type { Attributes } from "../../../src/plan/resource.ts";
import { installsPrograms } from "../../../src/plan/rules/unreachable.ts";
import { providerModel } from "../../../src/providers/registry.ts";
import { shownAttributes, shownChange } from "./attribute-names.ts";
import { exportedChanges, exportedConfiguration, exportedValues } from "./exported-resources.ts";
import { postponedUpdates } from "./plan-view.ts";
import { snakeKeys } from "./snake-keys.ts";
import { terraformActions } from "./terraform-actions.ts";

export const providerName = "registry.haplan.dev/haplan/haplan";

/** The Terraform version that defines this format; readers compare it. */
export const terraformVersion = "1.11.4";

export function planToJson(plan: Plan): object {
  const changes = plan.changes.map(afterImport).map(shownChange);
  const prior = changes.filter(({ action, before }) => before !== null && action !== "create");
  return {
    format_version: "1.2",
    terraform_version: terraformVersion,
    planned_values: {
      root_module: {
        resources: [
          ...changes.flatMap((change) => (change.after === null ? [] : [resourceValue(change, change.after)])),
          ...exportedValues(plan),
        ],
      },
    },
    resource_changes: [...changes.map(changeToJson), ...exportedChanges(plan)],
    resource_drift: plan.drift.map(shownChange).map(changeToJson),
    output_changes: {},
    prior_state: {
      format_version: "1.0",
      terraform_version: terraformVersion,
      values: { root_module: { resources: prior.map((change) => resourceValue(change, change.before ?? {})) } },
    },
    configuration: configurationOf(plan),
    relevant_attributes: [],
    checks: quorumChecks(plan),
    applyable: planHasChanges(plan) || installsPrograms(plan),
    complete: postponedUpdates(plan) === undefined,
    errored: false,
    haplan: {
      format_version: "2.0",
      plan_id: plan.id,
      mode: plan.mode,
      ...(plan.restore === undefined ? {} : { restore: snakeKeys(plan.restore) }),
      binding: snakeKeys(plan.binding),
      // In the names of the spec.
      spec: plan.spec,
      steps: snakeKeys(plan.steps),
      quorum: snakeKeys(plan.timeline),
      warnings: snakeKeys(plan.warnings),
    },
  };
}

/**
 * In Terraform's view an imported object existed before: it was read from the cluster, though no state contained it.
 */
function afterImport(change: ResourceChange): ResourceChange {
  return change.importing === undefined ? change : { ...change, before: change.before ?? change.after };
}

function changeToJson(change: ResourceChange): object {
  const reason = actionReason(change);
  // A created object did not exist, or no longer exists: after a refresh Terraform has no earlier value for it either.
  const before = change.action === "create" ? null : change.before;
  return {
    ...identity(change),
    ...(change.movedFrom === undefined ? {} : { previous_address: change.movedFrom }),
    change: {
      actions: terraformActions[change.action],
      before: visible(before, change.sensitive),
      after: visible(change.after, change.sensitive),
      after_unknown: change.after === null ? {} : flags(change.unknownAfter),
      before_sensitive: before === null ? false : flags(change.sensitive),
      after_sensitive: change.after === null ? false : flags(change.sensitive),
      ...(change.forcesReplacement.length === 0
        ? {}
        : { replace_paths: change.forcesReplacement.map((name) => [name]) }),
      ...(change.importing === undefined ? {} : { importing: { id: change.importing.id } }),
    },
    ...(reason === null ? {} : { action_reason: reason }),
    ...(change.reason === null ? {} : { haplan_reason: change.reason }),
  };
}

/** Terraform's reason where one fits; haplan's own, as text, is `haplan_reason`. */
function actionReason({ action, reasonCode, forcesReplacement }: ResourceChange): string | null {
  if (forcesReplacement.length > 0) return "replace_because_cannot_update";
  if ((action === "createThenDelete" || action === "deleteThenCreate") && reasonCode === "requested") {
    return "replace_by_request";
  }
  return action === "delete" && reasonCode === "notInSpec" ? "delete_because_no_resource_config" : null;
}

function identity({ address, type, name }: Pick<ResourceChange, "address" | "type" | "name">): object {
  return { address, mode: "managed", type, name, provider_name: providerName };
}

function resourceValue(change: ResourceChange, attributes: Attributes): object {
  return {
    ...identity(change),
    schema_version: 0,
    values: visible(attributes, change.sensitive),
    sensitive_values: flags(change.sensitive),
  };
}

/** The wanted resources as if they were written in Terraform's language: constants and dependencies. */
function configurationOf(plan: Plan): object {
  const resources = desiredResources(plan.spec, providerModel(plan.spec.provider), plan.binding.artifact).map(
    ({ address, type, name, attributes, dependsOn }) => ({
      address,
      mode: "managed",
      type,
      name,
      provider_config_key: "haplan",
      schema_version: 0,
      expressions: Object.fromEntries(
        Object.entries(shownAttributes(attributes)).map(([attribute, value]) => [attribute, { constant_value: value }]),
      ),
      ...(dependsOn.length === 0 ? {} : { depends_on: dependsOn }),
    }),
  );
  const exported = exportedConfiguration(plan);
  return {
    provider_config: { haplan: { name: "haplan", full_name: providerName }, ...exported.providers },
    root_module: { resources: [...resources, ...exported.resources] },
  };
}

/** The quorum as one of Terraform's checks, for plans with a quorum to keep: not for a first start, not for destroy. */
function quorumChecks({ mode, timeline }: Plan): readonly object[] {
  const [now, ...later] = timeline;
  if (mode === "destroy" || now === undefined || now.canLose === null) return [];
  const problems = later
    .filter(({ canLose }) => canLose === null)
    .map(({ title }) => ({ message: `no quorum after "${title}"` }));
  const status = problems.length === 0 ? "pass" : "fail";
  const instance = { address: { to_display: "check.quorum" }, status, ...(problems.length === 0 ? {} : { problems }) };
  return [{ address: { kind: "check", name: "quorum", to_display: "check.quorum" }, status, instances: [instance] }];
}

function visible(attributes: Attributes | null, sensitive: readonly string[]): Json {
  if (attributes === null) return null;
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !sensitive.includes(name)));
}

function flags(names: readonly string[]): { readonly [name: string]: true } {
  return Object.fromEntries(names.map((name) => [name, true as const]));
}
