/**
 * A mistake that a check found in a spec, before its position in the file is known. Checks locate it by JSON pointer
 * (RFC 6901); the reader converts findings to diagnostics with line and column.
 */

/** A location in the document. `key` points at the name of an entry, `value` at its value. */
export type SpecPlace =
  | { readonly pointer: string; readonly part: "key" | "value" }
  | { readonly start: number; readonly end: number };

export type SpecFinding = {
  readonly place: SpecPlace;
  /** Stable identifier, for example `spec/even-members`. */
  readonly code: string;
  /** One line: what is wrong. */
  readonly summary: string;
  /** Why, and what to write instead. */
  readonly detail: string;
  /** Pointer of another value that does not fit the one at `place`. */
  readonly related?: string;
};

/** A finding about the value at `pointer`. */
export function findingAt(
  pointer: string,
  text: { readonly code: string; readonly summary: string; readonly detail: string },
): SpecFinding {
  return { place: { pointer, part: "value" }, ...text };
}

/** Appends one step to a JSON pointer. */
export function pointerInto(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The keys of a JSON pointer. */
export function pointerKeys(pointer: string): readonly string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** A pointer in the notation of messages: `spec.controlPlane.masters[0].name`. */
export function formatPointer(pointer: string): string {
  const text = pointerKeys(pointer)
    .map((key) => (/^\d+$/.test(key) ? `[${key}]` : `.${key}`))
    .join("");
  return text.replace(/^\./, "") || "the file";
}
