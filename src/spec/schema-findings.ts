/** Validates a document against the schema, and converts ajv's errors to messages that say what to write instead. */
import type { ErrorObject } from "ajv";
import { compileSchema } from "../base/compile-schema.ts";
import type { Json } from "../base/json.ts";
import type { FilledCluster } from "./declaration/cluster.ts";
import { findingAt, formatPointer, pointerInto, pointerKeys, type SpecFinding } from "./finding.ts";
import { nearestName } from "./nearest-name.ts";
import type { JsonSchema } from "./schema/json-schema.ts";

const anyOf = new Intl.ListFormat("en", { type: "disjunction" });

/** A document that fits the schema, or all mistakes in its structure. */
export type ShapeCheck<Document = FilledCluster> =
  | { readonly document: Document; readonly findings: readonly [] }
  | { readonly document: null; readonly findings: readonly SpecFinding[] };

/** Validates documents against `schema`, and fills the defaults into the document itself. */
export function createShapeCheck<Document = FilledCluster>(
  schema: JsonSchema,
): (document: unknown) => ShapeCheck<Document> {
  const validate = compileSchema<Document>(schema, { allErrors: true, verbose: true, useDefaults: true });
  return (document) => {
    if (validate(document)) return { document, findings: [] };
    return { document: null, findings: (validate.errors ?? []).flatMap((error) => findingFor(error, schema)) };
  };
}

function findingFor(error: ErrorObject, root: JsonSchema): readonly SpecFinding[] {
  const subject = formatPointer(error.instancePath);
  const schema = (error.parentSchema ?? {}) as JsonSchema;
  const expected = typeof schema["description"] === "string" ? schema["description"] : "something else";
  const found = describe(error.data as Json);
  switch (error.keyword) {
    case "additionalProperties":
      return [unknownKey(error, schema)];
    case "required":
      return [missingKey(error, schema)];
    case "type":
      return [wrongType(error, { subject, expected, found, root })];
    case "enum":
    case "const":
      return wrongChoice(error, subject, schema, found);
    case "maxItems":
      return tooMany(error, subject);
    default: {
      const detail = `Write ${expected}${rangeOf(schema)}.`;
      return [findingAt(error.instancePath, { code: "spec/bad-value", summary: `${subject} is ${found}`, detail })];
    }
  }
}

function tooMany(error: ErrorObject, subject: string): readonly SpecFinding[] {
  const limit = String(error.params["limit"]);
  const summary = `${subject} has ${(error.data as readonly unknown[]).length} entries`;
  return [findingAt(error.instancePath, { code: "spec/bad-value", summary, detail: `Write at most ${limit}.` })];
}

function unknownKey(error: ErrorObject, schema: JsonSchema): SpecFinding {
  const name = String(error.params["additionalProperty"]);
  const known = Object.keys((schema["properties"] ?? {}) as object);
  const nearest = nearestName(name, known);
  const where = error.instancePath === "" ? "at the top of a spec" : `in ${formatPointer(error.instancePath)}`;
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  return {
    place: { pointer: pointerInto(error.instancePath, name), part: "key" },
    code: "spec/unknown-key",
    summary: `There is no key ${quote(name)} ${where}`,
    detail: `${hint}Known keys: ${known.join(", ")}.`,
  };
}

function missingKey(error: ErrorObject, schema: JsonSchema): SpecFinding {
  const name = String(error.params["missingProperty"]);
  const key = ((schema["properties"] ?? {}) as Record<string, JsonSchema>)[name] ?? {};
  const where = error.instancePath === "" ? "The spec" : formatPointer(error.instancePath);
  const [example] = [key["const"], ...((key["examples"] ?? []) as readonly Json[])].filter(isScalar);
  const line = example === undefined ? `${name}:` : `${name}: ${example}`;
  const meaning = key["const"] === undefined && key["description"] !== undefined ? `, ${key["description"]}` : "";
  return {
    place: { pointer: error.instancePath, part: "key" },
    code: "spec/missing-key",
    summary: `${where} has no "${name}"`,
    detail: `Add \`${line}\`${meaning}.`,
  };
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

type WrongType = {
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
  readonly root: JsonSchema;
};

function wrongType(error: ErrorObject, { subject, expected, found, root }: WrongType): SpecFinding {
  const wanted = wordsForType[String(error.params["type"])] ?? String(error.params["type"]);
  const quoted = typeof error.data === "string" && /^\d+$/.test(error.data);
  const detail = quoted ? unquoted(error) : `Write ${wanted}: ${expected}.`;
  return findingAt(error.instancePath, {
    code: "spec/wrong-type",
    summary: `${subject} must be ${wanted}, but is ${found}`,
    detail:
      error.data === null && !isRequired(error, root)
        ? `${detail} Or leave the line out, if it is not needed.`
        : detail,
  });
}

/** Reports whether the parent mapping requires this key. */
function isRequired({ schemaPath, instancePath }: ErrorObject, root: JsonSchema): boolean {
  // From `#/properties/spec/.../properties/to/type` to the schema of the mapping.
  const steps = pointerKeys(schemaPath.slice(1)).slice(0, -1);
  if (steps.at(-2) !== "properties") return false;
  let schema: unknown = root;
  for (const step of steps.slice(0, -2)) schema = (schema as Readonly<Record<string, unknown>> | undefined)?.[step];
  const required = (schema as JsonSchema | undefined)?.["required"];
  return Array.isArray(required) && required.includes(pointerKeys(instancePath).at(-1));
}

/** YAML allows no unquoted variable between brackets. */
function unquoted({ data, instancePath }: ErrorObject): string {
  const isItem = /\/\d+$/.test(instancePath);
  const variable = " In a list, write a variable without quotes on a line of its own, after `- `.";
  return `Write ${data} without quotes.${isItem ? variable : ""}`;
}

const wordsForType: Readonly<Record<string, string>> = {
  object: "a mapping of keys to values",
  array: "a list",
  string: "a string",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
};

/** Member counts are left to their rule, which explains them; a value of the wrong type is already reported. */
function wrongChoice(error: ErrorObject, subject: string, schema: JsonSchema, found: string): readonly SpecFinding[] {
  if (error.instancePath === "/spec/controlPlane/members") return [];
  if (typeof error.data !== "string") return [];
  const choices = error.keyword === "const" ? [String(schema["const"])] : (schema["enum"] as readonly string[]);
  const nearest = nearestName(error.data, choices);
  const hint = nearest === null || choices.length === 1 ? "" : `Did you mean "${nearest}"? `;
  return [
    findingAt(error.instancePath, {
      code: "spec/bad-value",
      summary: `${subject} is ${found}`,
      detail: `${hint}Write ${anyOf.format(choices.map((choice) => `\`${pointerKeys(error.instancePath).at(-1)}: ${choice}\``))}.`,
    }),
  ];
}

function rangeOf(schema: JsonSchema): string {
  const { minimum, maximum } = schema as { minimum?: number; maximum?: number };
  if (minimum === undefined || maximum === undefined || String(schema["description"]).includes(String(maximum)))
    return "";
  return `, from ${minimum} to ${maximum}`;
}

function describe(value: Json): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "a mapping";
  return typeof value === "string" ? (value === "" ? "an empty string" : quote(value)) : String(value);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}
