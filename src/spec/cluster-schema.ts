/** The JSON Schema of `cluster.yaml`, for validation and for editors: `schema/cluster.schema.json` is the latter. */
import type { ProviderSchema } from "./provider-schema.ts";
import { shapesFor } from "./provider-shapes.ts";
import { membersMax, membersMin } from "./quorum-table.ts";
import { type JsonSchema, type SchemaUse, toJsonSchema } from "./schema/json-schema.ts";

/** The schema of a spec for `provider`, which is one of `all`. */
export function schemaFor(provider: ProviderSchema, all: readonly ProviderSchema[], use: SchemaUse): JsonSchema {
  return toJsonSchema({ shape: "cluster" }, shapesFor(provider, all), use);
}

/** One schema for the specs of all `providers`; `spec.provider.type` decides which part applies. */
export function editorSchema(providers: readonly ProviderSchema[]): JsonSchema {
  const head = {
    $schema: "http://json-schema.org/draft-07/schema#",
    $id: "https://haplan.dev/schema/v1/cluster.schema.json",
    title: `A highly available control plane of ${membersMin} to ${membersMax} members`,
  };
  const schemas = providers.map((provider) => schemaFor(provider, providers, "editor"));
  const [first, ...others] = schemas;
  if (first === undefined) return head;
  if (others.length === 0) return { ...head, ...first };
  // The last one also applies to an unknown type: its error lists the known ones.
  const last = schemas.at(-1)!;
  const branches = providers.slice(0, -1).map((provider, index) => ({ provider, schema: schemas[index]! }));
  const choice = branches.reduceRight<JsonSchema>(
    (otherwise, { provider, schema }) => ({
      if: isFor(provider.type, provider === providers[0]),
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: schema,
      else: otherwise,
    }),
    last,
  );
  return { ...head, ...choice };
}

/** Applies to a spec that names this provider, or none if this one is the default. */
function isFor(type: string, isDefault: boolean): JsonSchema {
  const named = { type: "object", required: ["type"], properties: { type: { const: type } } };
  const required = isDefault ? [] : ["provider"];
  return {
    type: "object",
    required: ["spec"],
    properties: { spec: { type: "object", required, properties: { provider: named } } },
  };
}

/** The text of the schema file. */
export function renderEditorSchema(providers: readonly ProviderSchema[]): string {
  return `${JSON.stringify(editorSchema(providers), null, 2)}\n`;
}
