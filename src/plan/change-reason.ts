/**
 * Why a resource changes. Programs match the code; the text may be reworded. Source: OpenTofu's
 * `ResourceInstanceChangeActionReason`, with the two of its codes that haplan's changes have, and those of what
 * `haplan watch` may repair.
 */
export type ReasonCode = "requested" | "notInSpec" | "dead" | "renewalDue" | "newCertificate";

export type CodedReason = { readonly code: ReasonCode; readonly text: string };

/** A plain text is a reason that no program matches. */
export type ChangeReason = CodedReason | string;

/** Named by `-replace`. */
export const asRequested: CodedReason = { code: "requested", text: "as requested" };
/** It may still be there. */
export const unreachableReplaced: CodedReason = {
  code: "requested",
  text: "it is unreachable, and replaced as requested",
};
export const notInSpec: CodedReason = { code: "notInSpec", text: "it is not in the spec" };

/** Its unit is as it should be, but does not run. */
export const processGone: CodedReason = { code: "dead", text: "dead: its process is gone" };
export const processSilent: CodedReason = { code: "dead", text: "its process does not answer" };

/** Its unit gets a certificate that is issued by this plan, or was issued before and not handed out. */
export const newCertificate: CodedReason = { code: "newCertificate", text: "its certificate is issued again" };

/** `validity`: such as "expires in 12 days". */
export function renewalDue(validity: string): CodedReason {
  return { code: "renewalDue", text: `it ${validity}` };
}

export function reasonText(reason: ChangeReason): string {
  return typeof reason === "string" ? reason : reason.text;
}
