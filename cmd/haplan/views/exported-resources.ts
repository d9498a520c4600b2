/**
 * The objects of a cloud in a plan's JSON, under the types of Terraform's provider of that cloud: cost and policy tools
 * know those. They are there in addition to haplan's own resources, and change as those do.
 */
import { sameJson } from "../../../src/base/canonical-json.ts";
import { desiredResources } from "../../../src/plan/desired-resources.ts";
import type { ChangeAction, Plan, ResourceChange } from "../../../src/plan/plan.ts";
import type { ExportedResource } from "../../../src/plan/provider-model.ts";
import type { Attributes } from "../../../src/plan/resource.ts";
import { providerModel } from "../../../src/providers/registry.ts";
import { terraformActions } from "./terraform-actions.ts";

export function exportedValues(plan: Plan): readonly object[] {
  return plan.changes.flatMap((change) => exported(plan, change, change.after).map(describeValue));
}

export function exportedChanges(plan: Plan): readonly object[] {
  return plan.changes.flatMap((change) => changesOf(plan, change));
}

type ExportedConfiguration = {
  readonly providers: { readonly [name: string]: object };
  readonly resources: readonly object[];
};

/** As if they were written in Terraform's language: constants, and the region of the provider. */
export function exportedConfiguration({ spec, binding }: Plan): ExportedConfiguration {
  const model = providerModel(spec.provider);
  const resources = desiredResources(spec, model, binding.artifact).flatMap(
    (resource) => model.exportResource?.(spec, resource) ?? [],
  );
  const names = new Map(resources.map(({ providerName }) => [providerName.replace(/^.*\//, ""), providerName]));
  const { region } = spec.provider;
  const expressions = region === undefined ? {} : { expressions: { region: { constant_value: region } } };
  return {
    providers: Object.fromEntries([...names].map(([name, full]) => [name, { name, full_name: full, ...expressions }])),
    resources: resources.map(({ type, name, providerName, values }) => ({
      address: `${type}.${name}`,
      mode: "managed",
      type,
      name,
      provider_config_key: providerName.replace(/^.*\//, ""),
      schema_version: 0,
      expressions: Object.fromEntries(Object.entries(values).map(([key, value]) => [key, { constant_value: value }])),
    })),
  };
}

function exported(
  { spec }: Plan,
  { type, name }: ResourceChange,
  attributes: Attributes | null,
): readonly ExportedResource[] {
  if (attributes === null) return [];
  return providerModel(spec.provider).exportResource?.(spec, { type, name, attributes }) ?? [];
}

/** A created object did not exist before. */
function changesOf(plan: Plan, change: ResourceChange): readonly object[] {
  const before = change.action === "create" ? [] : exported(plan, change, change.before);
  const after = exported(plan, change, change.after);
  const own = change.importing === undefined ? before : after;
  const resources = new Map([...own, ...after].map((each) => [`${each.type}.${each.name}`, each]));
  return [...resources].map(([address, { type, name, providerName }]) => {
    const [from, to] = [own, after].map((list) => list.find((each) => `${each.type}.${each.name}` === address) ?? null);
    return {
      address,
      mode: "managed",
      type,
      name,
      provider_name: providerName,
      change: {
        actions: terraformActions[actionOf(change.action, from ?? null, to ?? null)],
        before: from?.values ?? null,
        after: to?.values ?? null,
        after_unknown: to === null || to === undefined ? {} : Object.fromEntries(to.unknown.map((key) => [key, true])),
        before_sensitive: from === null ? false : {},
        after_sensitive: to === null ? false : {},
      },
    };
  });
}

/** A change of what haplan alone knows changes nothing in the cloud. */
function actionOf(action: ChangeAction, before: ExportedResource | null, after: ExportedResource | null): ChangeAction {
  if (before === null) return "create";
  if (after === null) return "delete";
  return action === "update" && sameJson(before.values, after.values) ? "noop" : action;
}

function describeValue({ type, name, providerName, values }: ExportedResource): object {
  return {
    address: `${type}.${name}`,
    mode: "managed",
    type,
    name,
    provider_name: providerName,
    schema_version: 0,
    values,
    sensitive_values: {},
  };
}
