/**
 * The vocabulary of the spec's declaration, and the types that follow from it. The declaration is data: literals `as
 * const`, whose types need no annotation. The keywords are those of JSON Schema where it has one; the rest says what
 * JSON Schema cannot: what the absence of a key means.
 */

import type { Json } from "../../base/json.ts";

type Told = {
  /** Shown in editors, in errors ("Write ...") and in docs/spec.md: a noun phrase without a full stop. */
  readonly description: string;
  /** What a user could write. */
  readonly example?: Json;
};

/** What it means that a key is not written. */
type Presence = {
  /** It is an error. */
  readonly required?: true;
  /** This is taken. */
  readonly default?: Json;
  /** The provider says which value is taken, or that it is an error. */
  readonly filledBy?: "provider";
  /** In words, where no fixed value is taken. */
  readonly absent?: string;
};

type Text = {
  readonly type: "string";
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
};

type WholeNumber = {
  readonly type: "integer";
  readonly enum?: readonly number[];
  readonly minimum?: number;
  readonly maximum?: number;
};

type Flag = { readonly type: "boolean" };

type List = {
  readonly type: "array";
  readonly items: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: true;
};

/** The keys of a mapping: each says what its absence means. */
export type Keys = {
  readonly [key: string]: Shape & (Required | { readonly default: Json } | FilledBy | { readonly absent: string });
};

export type Mapping = {
  readonly type: "object";
  readonly keys: Keys;
  /** The provider adds its own keys here: those of `spec.provider`, or those of each host. */
  readonly extendedBy?: "settings" | "hostKeys";
};

/** The shape of that name; what stands beside the name counts instead of what the shape says itself. */
type Reference = { readonly shape: string };

export type Shape =
  | (Told & Presence & (Text | WholeNumber | Flag | List | Mapping))
  | (Partial<Told> & Presence & Reference);

/** A shape that is no reference. */
export type PlainShape = Exclude<Shape, Reference>;
export type MappingShape = Extract<PlainShape, Mapping>;

/** Shapes by name. */
export type Shapes = { readonly [name: string]: PlainShape };

/** Keys that are there whatever was written, once the defaults are filled in. */
type Certain = Required | { readonly default: unknown } | FilledBy;
/** Keys that every document has that was found right. */
type Required = { readonly required: true };
type FilledBy = { readonly filledBy: "provider" };

type ValueOf<S, Known, Sure> = S extends { readonly shape: infer Name extends keyof Known }
  ? ValueOf<Known[Name], Known, Sure>
  : S extends { readonly keys: infer K }
    ? MappingOf<K, Known, Sure> & (S extends { readonly extendedBy: string } ? OwnKeys : unknown)
    : S extends { readonly items: infer Item }
      ? readonly ValueOf<Item, Known, Sure>[]
      : ScalarOf<S>;

/** Keys that are the provider's are known to it alone. */
type OwnKeys = { readonly [key: string]: Json };

type MappingOf<K, Known, Sure> = {
  readonly [Key in keyof K as K[Key] extends Sure ? Key : never]: ValueOf<K[Key], Known, Sure>;
} & {
  readonly [Key in keyof K as K[Key] extends Sure ? never : Key]?: ValueOf<K[Key], Known, Sure>;
};

type ScalarOf<S> = S extends { readonly const: infer Only }
  ? Only
  : S extends { readonly enum: readonly (infer Choice)[] }
    ? Choice
    : S extends { readonly type: "string" }
      ? string
      : S extends { readonly type: "integer" }
        ? number
        : boolean;

/** What a document of this shape holds as it is written. */
export type Written<S, Known> = ValueOf<S, Known, Required>;

/** What it holds once every default is filled in. */
export type Filled<S, Known> = ValueOf<S, Known, Certain>;

/** `shape` itself, or the one that it refers to. */
export function resolveShape(shape: Shape, shapes: Shapes): PlainShape {
  if (!("shape" in shape)) return shape;
  const { shape: name, ...own } = shape;
  const found = shapes[name];
  if (found === undefined) throw new Error(`The spec's declaration has no shape "${name}"`);
  return { ...found, ...own };
}
