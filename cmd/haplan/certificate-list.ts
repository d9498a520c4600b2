/** Every certificate of a cluster with its names, dates and signer, for `haplan certs status`. */
import { certificateLifetimeDays, certificateValidity, msPerDay } from "../../src/plan/certificate-validity.ts";
import type { ObservedAuthority, ObservedCertificate, TrustedAuthority } from "../../src/plan/observed-cluster.ts";
import type { ClusterSpec } from "../../src/spec/cluster-spec.ts";
import { type CertificateStatus, certificateStatus } from "./certificate-status.ts";

export type ListedCertificate = Omit<CertificateStatus, "name"> & {
  /** Its name in the PKI directory; `ca` for the authority that signs. */
  readonly name: string;
  readonly use: "authority" | "server and client" | "client";
  readonly names: readonly string[];
  readonly fingerprint: string;
  readonly notBefore: string;
  /** From this moment on a plan renews it; null for an authority that does not sign. */
  readonly renewedFrom: string | null;
  /** The authority that has signed it: `ca`, `ca (previous)` while that is still trusted; null for another one. */
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
    ...(authority === null ? [] : authorityRows(authority, nowMs)),
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

/** The one that signs first. An authority is renewed as soon as certificates that it signs would outlive it. */
function authorityRows(authority: ObservedAuthority, nowMs: number): readonly ListedCertificate[] {
  const row = (name: string, { fingerprint, commonName, notBefore, notAfter }: TrustedAuthority): ListedCertificate => {
    const { status, daysLeft } = certificateValidity({ notBefore, notAfter }, nowMs);
    const renewedFrom = name === "ca" ? daysBefore(notAfter, certificateLifetimeDays) : null;
    const names = [commonName];
    return {
      name,
      use: "authority",
      names,
      fingerprint,
      notBefore,
      notAfter,
      daysLeft,
      status,
      renewedFrom,
      signedBy: name,
    };
  };
  const { next, previous = [] } = authority;
  return [
    row("ca", authority),
    ...(next === undefined ? [] : [row("ca (next)", next)]),
    ...previous.map((each) => row("ca (previous)", each)),
  ];
}

function leafRow(
  spec: ClusterSpec,
  { fingerprint, notBefore, profile, subjectAltNames, trusted, signedByPrevious }: ObservedCertificate,
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
    signedBy: signedByPrevious === true ? "ca (previous)" : trusted && authorityKnown ? "ca" : null,
  };
}
