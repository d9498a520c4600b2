/** What can be told about a certificate by looking at it: the facts a plan compares and a status shows. */
import { X509Certificate } from "node:crypto";
import { isIPv6 } from "node:net";
import type { ObservedCertificate } from "../plan/observed-cluster.ts";

/** @throws when `pem` holds no certificate. */
export function observeCertificate(name: string, pem: string): ObservedCertificate {
  const certificate = new X509Certificate(pem);
  return {
    name,
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    subjectAltNames: subjectAltNames(certificate),
    notAfter: new Date(certificate.validTo).toISOString(),
  };
}

function subjectAltNames(certificate: X509Certificate): string[] {
  if (certificate.subjectAltName === undefined) return [];
  return certificate.subjectAltName.split(", ").map((entry) => {
    const value = entry.slice(entry.indexOf(":") + 1);
    return isIPv6(value) ? new URL(`http://[${value}]`).hostname.slice(1, -1) : value;
  });
}

export type CertificateValidity = {
  readonly status: "valid" | "renewalDue" | "expired" | "notYetValid";
  /** Whole days until it expires; negative afterwards. */
  readonly daysLeft: number;
};

const millisecondsPerDay = 86_400_000;
/** A certificate is due for renewal once this part of its life is left. */
const renewalShare = 1 / 3;

/** `now` in milliseconds since the epoch. */
export function certificateValidity(pem: string, now: number): CertificateValidity {
  const certificate = new X509Certificate(pem);
  const notBefore = Date.parse(certificate.validFrom);
  const notAfter = Date.parse(certificate.validTo);
  const daysLeft = Math.floor((notAfter - now) / millisecondsPerDay);
  if (now < notBefore) return { status: "notYetValid", daysLeft };
  if (now > notAfter) return { status: "expired", daysLeft };
  return { status: notAfter - now < (notAfter - notBefore) * renewalShare ? "renewalDue" : "valid", daysLeft };
}
