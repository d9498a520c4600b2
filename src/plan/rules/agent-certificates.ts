/**
 * Hands new certificates to running masters, and detects masters that present another certificate than the issued one.
 */

import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { peerCertificateName } from "../../units/peer-certificate.ts";
import { certificateValidity, dayOf } from "../certificate-validity.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanBuilder } from "../plan-builder.ts";
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

/** Whether others reject the master because of its certificate: it has expired, or is not valid yet. */
export function isRefusedByOthers({ observed, nowMs }: PlannerInput, master: string): boolean {
  const names = [master, peerCertificateName(master)];
  return observed.certificates.some(
    (certificate) => names.includes(certificate.name) && certificateValidity(certificate, nowMs).status !== "valid",
  );
}

/** A real etcd reads its certificates for every connection, but its trusted authorities only at start. */
export function takesUpCertificates({ controlPlane }: ClusterSpec, builder: PlanBuilder): boolean {
  return controlPlane.engine === "agent" || !builder.steps.some(({ action }) => action.kind === "renewAuthority");
}

/** Why a master with the right files has to restart; null if its ports present these files. */
export function notePresented({ observed, builder }: Planning, { name, address }: DesiredResource): string | null {
  const fingerprintOf = (certificate: string): string | undefined =>
    observed.certificates.find((each) => each.name === certificate)?.fingerprint;
  const own = fingerprintOf(name);
  const wanted = { client: own, peer: fingerprintOf(peerCertificateName(name)) ?? own };
  const other = observed.presented?.find(
    ({ master, port, fingerprint }) => master === name && wanted[port] !== undefined && fingerprint !== wanted[port],
  );
  if (other === undefined) return null;
  builder.drift.push({
    address,
    action: "update",
    reason: `its ${other.port} port presents another certificate, which expires on ${dayOf(other.notAfter)}`,
    before: { certificate: wanted[other.port] ?? null },
    after: { certificate: other.fingerprint },
  });
  return "it presents another certificate than the issued one";
}
