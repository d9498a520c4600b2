/** Preconditions of a requested replacement of the certificate authority. */

import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { unfitMasters } from "./authority-replacement.ts";

export function checkReplacement(planning: Planning): void {
  const { replaceAuthority = false, dropAuthority = false } = planning;
  if (!replaceAuthority && !dropAuthority) return;
  const why = whyNotReplaceable(planning);
  if (why === null) return;
  const { code, summary, detail, commands = [] } = why;
  planning.builder.refuse(code, summary, detail, resourceAddress("haplan_ca", planning.spec.name), commands);
}

type Refusal = {
  readonly code: string;
  readonly summary: string;
  readonly detail: string;
  readonly commands?: readonly (readonly string[])[];
};

function whyNotReplaceable(planning: Planning): Refusal | null {
  const { spec, view, observed, replaceAuthority = false } = planning;
  const { enabled, adopted } = spec.controlPlane.tls;
  const { authority } = observed;
  const code = "plan/no-replacement";
  if (!enabled) return { code, summary: "There is no certificate authority", detail: "TLS is off." };
  if (adopted !== undefined) {
    const detail = `haplan did not create ${adopted.caFile}. Replace it where it was created.`;
    return { code, summary: "haplan does not replace the authority of adopted members", detail };
  }
  if (view.phase !== "formed" || authority === null) {
    const detail = "Its certificates are made by the first apply.";
    return { code, summary: "The cluster does not run yet", detail, commands: [["apply"]] };
  }
  if (!replaceAuthority && authority.previous === undefined && authority.next === undefined) {
    return {
      code: "plan/nothing-to-drop",
      summary: "There is no previous certificate authority to drop",
      detail: "Members trust only the present one.",
    };
  }
  const unfit = unfitMasters(planning);
  if (unfit.length === 0) return null;
  return {
    code: "plan/replacement-unhealthy",
    summary: `The certificate authority is not replaced while ${unfit.join(", ")} ${unfit.length === 1 ? "is" : "are"} not healthy`,
    detail: "A master that misses one of the steps would be rejected by the others. Repair it first, or replace it.",
  };
}
