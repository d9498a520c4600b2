/**
 * The vocabulary of the spec's declaration, and the types that follow from it. The declaration is data: literals `as
 * const`, whose types need no annotation. The keywords are those of JSON Schema where it has one; the others say what
 * JSON Schema cannot: the meaning of an absent key.
 */

import type { Json } from "../../base/json.ts";

type Message = {
  /** Shown in editors, in errors ("Write ...") and in docs/spec.md: a noun phrase without a full stop. */
  readonly description: string;
  /** A value that a user could write. */
  readonly example?: Json;
};

/** What it means that a key is not written. */
type Presence = {
  /** It is an error. */
  readonly required?: true;
  /** This value is used. */
  readonly default?: Json;
  /** The provider decides: a value, or an error. */
  readonly filledBy?: "provider";
  /** As text, if there is no fixed value. */
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
  /** The shape of a mapping that may stand in place of the list. It is replaced by the list before the check. */
  readonly orFrom?: string;
};

/** The keys of a mapping: each says what its absence means. */
export type Keys = {
  readonly [key: string]: Shape & (Required | { readonly default: Json } | FilledBy | { readonly absent: string });
};

export type Mapping = {
  readonly type: "object";
  readonly keys: Keys;
  /** The provider adds its own keys here: those of `spec.provider`, of each host, or of the load balancer. */
  readonly extendedBy?: "settings" | "hostKeys" | "loadBalancerKeys";
};

/** The shape of that name; keywords beside the name override the shape's own. */
type Reference = { readonly shape: string };

export type Shape =
  | (Message & Presence & (Text | WholeNumber | Flag | List | Mapping))
  | (Partial<Message> & Presence & Reference);

/** A shape that is not a reference. */
export type PlainShape = Exclude<Shape, Reference>;
export type MappingShape = Extract<PlainShape, Mapping>;

/** Shapes by name. */
export type Shapes = { readonly [name: string]: PlainShape };

/** Keys that always exist once the defaults are filled in. */
type Certain = Required | { readonly default: unknown } | FilledBy;
/** Keys that every valid document has. */
type Required = { readonly required: true };
type FilledBy = { readonly filledBy: "provider" };

type ValueOf<S, Known, Sure> = S extends { readonly shape: infer Name extends keyof Known }
  ? ValueOf<Known[Name], Known, Sure>
  : S extends { readonly keys: infer K }
    ? MappingOf<K, Known, Sure> & (S extends { readonly extendedBy: string } ? OwnKeys : unknown)
    : S extends { readonly items: infer Item }
      ? readonly ValueOf<Item, Known, Sure>[]
      : ScalarOf<S>;

/** Only the provider knows the types of its own keys. */
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

/** The content of a document of this shape as written. */
export type Written<S, Known> = ValueOf<S, Known, Required>;

/** The content once every default is filled in. */
export type Filled<S, Known> = ValueOf<S, Known, Certain>;

/** `shape` itself, or the one that it refers to. */
export function resolveShape(shape: Shape, shapes: Shapes): PlainShape {
  if (!("shape" in shape)) return shape;
  const { shape: name, ...own } = shape;
  const found = shapes[name];
  if (found === undefined) throw new Error(`The spec's declaration has no shape "${name}"`);
  return { ...found, ...own };
}
