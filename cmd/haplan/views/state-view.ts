/** A state as text, in Terraform's blocks, and in the JSON format of `terraform show -json` (format 1.0). */

import type { Json } from "../../../src/base/json.ts";
import type { Attributes } from "../../../src/plan/resource.ts";
import type { State, StateResource } from "../../../src/plan/state.ts";
import type { Paint } from "../paint.ts";
import { shownAttributes, shownName } from "./attribute-names.ts";
import { providerName, terraformVersion } from "./plan-json.ts";

export function renderState(resources: readonly StateResource[], paint: Paint): string {
  return resources.map((resource) => renderResource(resource, paint)).join("\n\n");
}

function renderResource(resource: StateResource, paint: Paint): string {
  const { address, type, name, attributes, sensitive, status, generation } = resource;
  const shown = shownAttributes(attributes);
  const secrets = new Set(sensitive.map(shownName));
  const absent = [...secrets]
    .filter((attribute) => !(attribute in shown))
    .map((attribute) => [attribute, null] as const);
  const entries = [...Object.entries({ ...shown, generation }), ...absent].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const width = Math.max(0, ...entries.map(([attribute]) => attribute.length));
  const lines = entries.map(([attribute, value]) => {
    const text = secrets.has(attribute) ? "(sensitive value)" : valueText(value);
    return `    ${attribute.padEnd(width)} = ${text}`;
  });
  const remark = status === "ready" ? "" : paint.yellow(` (${status})`);
  return [paint.bold(`# ${address}:`) + remark, `resource "${type}" "${name}" {`, ...lines, "}"].join("\n");
}

function valueText(value: Json): string {
  if (!Array.isArray(value) || value.length === 0) return JSON.stringify(value);
  return ["[", ...value.map((item: Json) => `        ${JSON.stringify(item)},`), "    ]"].join("\n");
}

/** `state` is null if nothing has been applied yet. */
export function stateToJson(state: State | null): object {
  if (state === null) return { format_version: "1.0" };
  return {
    format_version: "1.0",
    terraform_version: terraformVersion,
    values: { root_module: { resources: state.resources.map(resourceValue) } },
    haplan: { lineage: state.lineage, serial: state.serial, cluster: state.clusterName },
  };
}

function resourceValue({ address, type, name, attributes, sensitive, dependsOn }: StateResource): object {
  return {
    address,
    mode: "managed",
    type,
    name,
    provider_name: providerName,
    schema_version: 0,
    values: shownAttributes(withoutSecrets(attributes, sensitive)),
    sensitive_values: Object.fromEntries(sensitive.map((attribute) => [shownName(attribute), true])),
    ...(dependsOn.length === 0 ? {} : { depends_on: dependsOn }),
  };
}

function withoutSecrets(attributes: Attributes, sensitive: readonly string[]): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !sensitive.includes(name)));
}
