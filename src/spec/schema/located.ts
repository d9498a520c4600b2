/**
 * A document viewed through its declaration: every value of the right type, with its position and with the default if
 * it is missing. Rules check this view, so that they can check the valid parts of a file whose other parts are wrong.
 */

import type { Json } from "../../base/json.ts";
import { pointerInto } from "../finding.ts";
import { type MappingShape, resolveShape, type Shape, type Shapes } from "./shape.ts";

/** A value and its JSON pointer; a default has that of the parent mapping. */
export type LocatedValue<T> = { readonly pointer: string; readonly value: T };
export type LocatedList<Item> = { readonly pointer: string; readonly items: readonly Item[] };
export type LocatedMapping<Entries> = {
  readonly pointer: string;
  /** Keys that are written. */
  readonly written: readonly string[];
  /** Null for a value that is missing or of the wrong type, and has no default. */
  readonly entries: Entries;
};

export type Located<S, Known> = S extends { readonly shape: infer Name extends keyof Known }
  ? Located<Known[Name], Known>
  : S extends { readonly keys: infer K }
    ? LocatedMapping<
        { readonly [Key in keyof K]: LocatedEntry<K[Key], Known> } & (S extends { readonly extendedBy: string }
          ? AnyEntries
          : unknown)
      >
    : S extends { readonly items: infer Item }
      ? LocatedList<Located<Item, Known> | null>
      : LocatedValue<
          S extends { readonly type: "string" } ? string : S extends { readonly type: "integer" } ? number : boolean
        >;

type LocatedEntry<S, Known> = S extends { readonly default: unknown } ? Located<S, Known> : Located<S, Known> | null;

type AnyLocated =
  | LocatedValue<string | number | boolean>
  | { readonly pointer: string; readonly items: readonly (AnyLocated | null)[] }
  | { readonly pointer: string; readonly written: readonly string[]; readonly entries: AnyEntries };

/** Entries of a mapping that the provider extends. */
export type AnyEntries = { readonly [key: string]: AnyLocated | null };

/**
 * The located view of any `value`; null if it is not a mapping. `Known` are the declared shapes; `shapes` are the same
 * with the provider's additions.
 */
export function locate<Known extends Shapes, Name extends keyof Known & string>(
  name: Name,
  shapes: Shapes,
  value: Json,
): Located<Known[Name], Known> | null {
  // The types follow the declaration as this function does.
  return locateValue({ shape: name }, shapes, { pointer: "", value }) as Located<Known[Name], Known> | null;
}

function locateValue(shape: Shape, shapes: Shapes, { pointer, value }: LocatedValue<Json>): AnyLocated | null {
  const resolved = resolveShape(shape, shapes);
  switch (resolved.type) {
    case "object":
      return isMapping(value) ? locateMapping(resolved, shapes, { pointer, value }) : null;
    case "array":
      if (!isList(value)) return null;
      return {
        pointer,
        items: value.map((item, index) =>
          locateValue(resolved.items, shapes, { pointer: pointerInto(pointer, index), value: item }),
        ),
      };
    case "string":
      return typeof value === "string" ? { pointer, value } : null;
    case "integer":
      return typeof value === "number" && Number.isInteger(value) ? { pointer, value } : null;
    case "boolean":
      return typeof value === "boolean" ? { pointer, value } : null;
  }
}

function locateMapping(
  { keys }: MappingShape,
  shapes: Shapes,
  { pointer, value }: LocatedValue<{ readonly [key: string]: Json }>,
): AnyLocated {
  const entries = Object.entries(keys).map(([name, shape]) => {
    const written = Object.hasOwn(value, name)
      ? locateValue(shape, shapes, { pointer: pointerInto(pointer, name), value: value[name] ?? null })
      : null;
    return [name, written ?? locateDefault(shape, shapes, pointer)] as const;
  });
  return { pointer, written: Object.keys(value), entries: Object.fromEntries(entries) };
}

function locateDefault(shape: Shape, shapes: Shapes, pointer: string): AnyLocated | null {
  const { default: fallback } = resolveShape(shape, shapes);
  if (fallback === undefined) return null;
  const located = locateValue(shape, shapes, { pointer, value: fallback });
  return located === null || !("entries" in located) ? located : { ...located, written: [] };
}

function isMapping(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !isList(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
