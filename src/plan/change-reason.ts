/**
 * Why a resource changes. Programs match the code; the text may be reworded. Source: OpenTofu's
 * `ResourceInstanceChangeActionReason`, with the two of its codes that haplan's changes have.
 */
export type ReasonCode = "requested" | "notInSpec";

export type CodedReason = { readonly code: ReasonCode; readonly text: string };

/** A plain text is a reason that no program matches. */
export type ChangeReason = CodedReason | string;

/** Named by `-replace`. */
export const asRequested: CodedReason = { code: "requested", text: "as requested" };
export const notInSpec: CodedReason = { code: "notInSpec", text: "it is not in the spec" };

export function reasonText(reason: ChangeReason): string {
  return typeof reason === "string" ? reason : reason.text;
}
