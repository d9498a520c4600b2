/** A declared shape as JSON Schema (draft 7), for ajv and for editors. */
import { type Keys, resolveShape, type Shape, type Shapes } from "./shape.ts";

export type JsonSchema = { readonly [keyword: string]: unknown };

/**
 * For ajv, which fills in a default only if its parent mapping exists: so mappings have defaults of their own. Editors
 * would offer these instead of the keys.
 */
export type SchemaUse = "check" | "editor";

/** References are expanded: a validator error then has everything about the value in one place. */
export function toJsonSchema(shape: Shape, shapes: Shapes, use: SchemaUse): JsonSchema {
  const resolved = resolveShape(shape, shapes);
  if (resolved.type === "object") {
    const { type, description, default: fallback } = resolved;
    const filled = fallback === undefined || use === "editor" ? {} : { default: fallback };
    return { type, description, ...filled, ...mappingKeywords(resolved.keys, shapes, use) };
  }
  const { required: _, absent: _absent, filledBy: _filledBy, example, ...keywords } = resolved;
  const examples = example === undefined ? {} : { examples: [example] };
  if (resolved.type !== "array") return { ...keywords, ...examples };
  const { orFrom, ...list } = resolved;
  const { required: _required, absent: _none, filledBy: _filled, example: _example, ...listKeywords } = list;
  const items = { ...listKeywords, items: toJsonSchema(resolved.items, shapes, use), ...examples };
  if (orFrom === undefined || use === "check") return items;
  const { description, default: fallback, ...rest } = items;
  const filled = fallback === undefined ? {} : { default: fallback };
  return { description, ...filled, anyOf: [rest, toJsonSchema({ shape: orFrom }, shapes, use)] };
}

function mappingKeywords(keys: Keys, shapes: Shapes, use: SchemaUse): JsonSchema {
  const properties = Object.entries(keys).map(([name, shape]) => [name, toJsonSchema(shape, shapes, use)] as const);
  return {
    additionalProperties: false,
    // Keys that begin with x- are the user's: anchors, and notes for other tools.
    patternProperties: { "^x-": true },
    required: Object.keys(keys).filter((name) => keys[name]?.required === true),
    properties: Object.fromEntries(properties),
  };
}
