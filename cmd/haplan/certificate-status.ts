/** Remaining validity of the authority and of each certificate, for `haplan status`. */
import { certificateValidity, isRenewalDue } from "../../src/plan/certificate-validity.ts";
import type { ObservedCertificate, ObservedCluster } from "../../src/plan/observed-cluster.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";

export type CertificateStatus = {
  /** `ca` for the authority's certificate. */
  readonly name: string;
  /** `untrusted`: signed by another authority. */
  readonly status: "valid" | "renewalDue" | "expired" | "notYetValid" | "untrusted";
  readonly notAfter: string;
  /** Whole days until it expires; negative once it has expired. */
  readonly daysLeft: number;
};

/** The authority first, then by name. */
export function certificateStatus({
  spec,
  observed,
  nowMs,
}: {
  readonly spec: ClusterSpec;
  readonly observed: Pick<ObservedCluster, "authority" | "certificates">;
  readonly nowMs: number;
}): readonly CertificateStatus[] {
  type Dated = Pick<ObservedCertificate, "name" | "notBefore" | "notAfter" | "trusted" | "signedByPrevious">;
  const statusOf = ({ name, notBefore, notAfter, trusted, signedByPrevious }: Dated): CertificateStatus => {
    const { status, daysLeft } = certificateValidity({ notBefore, notAfter }, nowMs);
    // Without the authority's certificate, signatures cannot be verified.
    const foreign = !trusted && signedByPrevious !== true && observed.authority !== null;
    const due = status === "valid" && isRenewalDue({ notBefore, notAfter }, nowMs, spec.policy.renewBeforeDays);
    return { name, status: foreign ? "untrusted" : due ? "renewalDue" : status, notAfter, daysLeft };
  };
  const authority = observed.authority === null ? [] : [{ ...observed.authority, name: "ca", trusted: true }];
  return [...authority, ...observed.certificates].map(statusOf);
}
