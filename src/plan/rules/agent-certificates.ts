/** How a master that runs comes to its new certificate, and what is told of one that shows another than it was given. */

import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { peerCertificateName } from "../../units/peer-certificate.ts";
import { certificateValidity, dayOf } from "../certificate-validity.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import type { Planning } from "../planning.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";

export function isHandedCertificate(master: string, certificates: IssuedCertificates): boolean {
  return certificates.has(master) || certificates.has(peerCertificateName(master));
}

/** Ids of the steps that issue a master's certificates. */
export function certificateSteps(master: string, certificates: IssuedCertificates): readonly (string | null)[] {
  return [certificates.get(master) ?? null, certificates.get(peerCertificateName(master)) ?? null];
}

/** Whether others refuse the master for its certificate: it has expired, or is not valid yet. */
export function isRefusedByOthers({ observed, nowMs }: PlannerInput, master: string): boolean {
  const names = [master, peerCertificateName(master)];
  return observed.certificates.some(
    (certificate) => names.includes(certificate.name) && certificateValidity(certificate, nowMs).status !== "valid",
  );
}

/** A real etcd reads its certificates for every connection, and whom it trusts only when it starts. */
export function takesUpCertificates({ controlPlane }: ClusterSpec, draft: PlanDraft): boolean {
  return controlPlane.engine === "agent" || !draft.steps.some(({ action }) => action.kind === "renewAuthority");
}

/** Why a master whose files are right has to start again; null while its ports show what is in them. */
export function notePresented({ observed, draft }: Planning, { name, address }: DesiredResource): string | null {
  const fingerprintOf = (certificate: string): string | undefined =>
    observed.certificates.find((each) => each.name === certificate)?.fingerprint;
  const own = fingerprintOf(name);
  const wanted = { client: own, peer: fingerprintOf(peerCertificateName(name)) ?? own };
  const other = observed.presented?.find(
    ({ master, port, fingerprint }) => master === name && wanted[port] !== undefined && fingerprint !== wanted[port],
  );
  if (other === undefined) return null;
  draft.drift.push({
    address,
    action: "update",
    reason: `its ${other.port} port shows another certificate, which ends on ${dayOf(other.notAfter)}`,
    before: { certificate: wanted[other.port] ?? null },
    after: { certificate: other.fingerprint },
  });
  return "it shows another certificate than it was given";
}
