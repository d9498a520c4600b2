/** Whether a replacement of the certificate authority can be planned beside what a plan without it would do. */

import type { Diagnostic } from "../../base/diagnostic.ts";
import type { PlannerInput } from "../planner-input.ts";
import { trustedFingerprints, trustsExactly } from "../trusted-authorities.ts";

type PlanWithout = (input: PlannerInput) => { readonly plan?: { readonly steps: readonly unknown[] } };

/**
 * An authority is replaced by a plan of its own: its steps hand out what the spec of the last apply says. A replacement
 * that was interrupted is resumed, by any plan.
 */
export function replacementFault(found: PlannerInput, planWithout: PlanWithout): Diagnostic | null {
  const { replaceAuthority = false, dropAuthority = false, observed } = found;
  const { authority, certificates } = observed;
  if (!(replaceAuthority || dropAuthority) || authority?.next !== undefined) return null;
  if (certificates.some(({ signedByPrevious }) => signedByPrevious === true) || isHandingOut(found)) return null;
  if (dropAuthority && !replaceAuthority && authority?.previous === undefined) return nothingToDrop;
  const { plan } = planWithout({ ...found, replaceAuthority: false, dropAuthority: false });
  const pending = plan?.steps.length ?? 0;
  if (replaceAuthority && authority?.previous !== undefined) {
    return pending > 0 || dropAuthority ? null : previousStillTrusted;
  }
  if (pending === 0) return null;
  const count = pending === 1 ? "1 step is" : `${pending} steps are`;
  return {
    severity: "error",
    code: "plan/replacement-with-changes",
    summary: `The certificate authority is not replaced together with other changes: ${count} pending`,
    detail: "Apply them first:",
    commands: [["apply"]],
  };
}

/** Some units have other authorities than the others, as an interrupted replacement leaves them. */
function isHandingOut({ state, observed: { authority } }: PlannerInput): boolean {
  if (state === null || authority === null) return false;
  const trusted = trustedFingerprints(authority);
  return state.resources.some(
    ({ attributes }) => attributes["trusts"] !== undefined && !trustsExactly(attributes, trusted),
  );
}

const nothingToDrop: Diagnostic = {
  severity: "error",
  code: "plan/nothing-to-drop",
  summary: "There is no previous certificate authority to drop",
  detail: "Members trust only the present one.",
};

const previousStillTrusted: Diagnostic = {
  severity: "error",
  code: "plan/replacement-unfinished",
  summary: "The certificate authority was replaced, and the previous one is still trusted",
  detail: "Only one authority can be replaced at a time. Drop the previous one first:",
  commands: [["certs", "rotate", "-drop-old"]],
};
