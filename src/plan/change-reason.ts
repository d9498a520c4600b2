/**
 * Why a resource changes. What a program decides by is the code; the text is for people, and may be reworded. Source: OpenTofu's
 * `ResourceInstanceChangeActionReason`, with the two of its codes that haplan's changes have.
 */
export type ReasonCode = "requested" | "notInSpec";

export type CodedReason = { readonly code: ReasonCode; readonly text: string };

/** A text alone is a reason that no program asks for. */
export type ChangeReason = CodedReason | string;

/** `-replace` named it. */
export const asRequested: CodedReason = { code: "requested", text: "as requested" };
export const notInSpec: CodedReason = { code: "notInSpec", text: "it is not in the spec" };

export function reasonText(reason: ChangeReason): string {
  return typeof reason === "string" ? reason : reason.text;
}
