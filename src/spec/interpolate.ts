/**
 * Variables in a spec's values: `${NAME}`, `${NAME:-default}` (also for an empty one, as in a shell), `$$` for a dollar
 * sign. Only values are expanded, after YAML was parsed: the content of a variable can never become a key or a list.
 */
import type { Json } from "../base/json.ts";

/** By name; undefined means not set. */
export type Variables = Readonly<Record<string, string | undefined>>;

export type Interpolation = {
  readonly text: string;
  /** Whether anything was expanded or unescaped. */
  readonly changed: boolean;
  /** Variables that were found, or replaced by their default. */
  readonly used: readonly { readonly name: string; readonly value: string }[];
  /** Names that are not set and have no default. */
  readonly missing: readonly string[];
  /** True if a `${` does not start a valid reference. */
  readonly malformed: boolean;
};

const reference = /\$\$|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}|\$\{/g;

export function interpolate(source: string, variables: Variables): Interpolation {
  const used: { name: string; value: string }[] = [];
  const missing: string[] = [];
  let malformed = false;
  const text = source.replace(reference, (match: string, name: string | undefined, fallback: string | undefined) => {
    if (match === "$$") return "$";
    if (name === undefined) {
      malformed = true;
      return match;
    }
    const found = Object.hasOwn(variables, name) ? variables[name] : undefined;
    const value = fallback !== undefined && (found === undefined || found === "") ? fallback : found;
    if (value === undefined) {
      missing.push(name);
      return match;
    }
    used.push({ name, value });
    return value;
  });
  return { text, changed: text !== source, used, missing, malformed };
}

/** The type of a plain scalar after expansion: `${COUNT}` may be a number (YAML 1.2 core schema, §10.3.2). */
export function resolvePlainScalar(text: string): Json {
  if (/^(?:~|null|Null|NULL)?$/.test(text)) return null;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  return /^[-+]?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}
