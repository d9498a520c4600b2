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
  const { spec, view, observed } = planning;
  const { enabled, adopted, authority: own } = spec.controlPlane.tls;
  const { authority } = observed;
  const code = "plan/no-replacement";
  if (!enabled) return { code, summary: "There is no certificate authority", detail: "TLS is off." };
  const file = adopted?.caFile ?? own?.caFile;
  if (file !== undefined) {
    const detail = `haplan did not create ${file}. Add the next authority to that file and apply, let it sign and run \`haplan certs rotate\`, then remove the previous one from the file and apply.`;
    return { code, summary: "haplan replaces only an authority that it has created", detail };
  }
  if (view.phase !== "formed" || authority === null) {
    const detail = "Its certificates are made by the first apply.";
    return { code, summary: "The cluster does not run yet", detail, commands: [["apply"]] };
  }
  const unfit = unfitMasters(planning);
  if (unfit.length === 0) return null;
  return {
    code: "plan/replacement-unhealthy",
    summary: `The certificate authority is not replaced while ${unfit.join(", ")} ${unfit.length === 1 ? "is" : "are"} not healthy`,
    detail: "A master that misses one of the steps would be rejected by the others. Repair it first, or replace it.",
  };
}
