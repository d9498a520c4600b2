/** Every certificate of a cluster with its names, dates and signer, for `haplan certs status`. */
import { certificateLifetimeDays, msPerDay } from "../../src/plan/certificate-validity.ts";
import type { ObservedAuthority, ObservedCertificate } from "../../src/plan/observed-cluster.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { type CertificateStatus, certificateStatus } from "./certificate-status.ts";

export type ListedCertificate = Omit<CertificateStatus, "name"> & {
  /** Its name in the PKI directory; `ca` for the authority. */
  readonly name: string;
  readonly use: "authority" | "server and client" | "client";
  readonly names: readonly string[];
  readonly fingerprint: string;
  readonly notBefore: string;
  /** From this moment on a plan renews it. */
  readonly renewedFrom: string;
  /** `ca`, or null if another authority has signed it. */
  readonly signedBy: string | null;
};

export type CertificateList = {
  readonly cluster: string;
  /** Where the files are. */
  readonly directory: string | null;
  readonly signingKey: ObservedAuthority["signingKey"] | null;
  readonly certificates: readonly ListedCertificate[];
};

export function certificateList(
  spec: ClusterSpec,
  observed: { readonly authority: ObservedAuthority | null; readonly certificates: readonly ObservedCertificate[] },
  nowMs: number,
): CertificateList {
  const { authority, certificates } = observed;
  const statusOf = new Map(certificateStatus({ spec, observed, nowMs }).map((each) => [each.name, each]));
  const list = [
    ...(authority === null ? [] : [authorityRow(authority, statusOf.get("ca")!)]),
    ...certificates.map((each) => leafRow(spec, each, statusOf.get(each.name)!, authority !== null)),
  ];
  return {
    cluster: spec.name,
    directory: authority?.directory ?? null,
    signingKey: authority?.signingKey ?? null,
    certificates: list,
  };
}

function daysBefore(notAfter: string, days: number): string {
  return new Date(Date.parse(notAfter) - days * msPerDay).toISOString();
}

/** An authority is renewed as soon as certificates that it signs would outlive it. */
function authorityRow(authority: ObservedAuthority, status: CertificateStatus): ListedCertificate {
  const { fingerprint, notBefore } = authority;
  const renewedFrom = daysBefore(status.notAfter, certificateLifetimeDays);
  return { ...status, use: "authority", names: [], fingerprint, notBefore, renewedFrom, signedBy: "ca" };
}

function leafRow(
  spec: ClusterSpec,
  { fingerprint, notBefore, profile, subjectAltNames, trusted }: ObservedCertificate,
  status: CertificateStatus,
  authorityKnown: boolean,
): ListedCertificate {
  return {
    ...status,
    use: profile === "member" ? "server and client" : "client",
    names: subjectAltNames,
    fingerprint,
    notBefore,
    renewedFrom: daysBefore(status.notAfter, spec.policy.renewBeforeDays),
    signedBy: trusted && authorityKnown ? "ca" : null,
  };
}
