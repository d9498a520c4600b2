/** Certificates that another program has signed: verified as members would verify them, before they are written. */
import { type KeyObject, X509Certificate } from "node:crypto";
import { HaplanError } from "../base/haplan-error.ts";
import { certificateValidity } from "../plan/certificate-validity.ts";
import type { CertificateRequest } from "./authority-port.ts";
import { observeCertificate } from "./certificate-facts.ts";
import { commonNameOf } from "./issue-certificate.ts";

export function issuerOf(certificate: X509Certificate, among: readonly X509Certificate[]): X509Certificate | undefined {
  return among.find((issuer) => certificate.verify(issuer.publicKey));
}

/** Whether the first certificate of `chain` is signed by a root, directly or by way of the others. */
export function leadsTo([leaf, ...others]: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  if (leaf === undefined) return false;
  if (issuerOf(leaf, roots) !== undefined) return true;
  const issuer = issuerOf(leaf, others);
  return issuer !== undefined && leadsTo([issuer, ...others.filter((each) => each !== issuer)], roots);
}

/** What members would reject is rejected here, before it is written. @throws HaplanError `pki/signer-answer` */
export function checkSigned(
  pems: readonly string[],
  roots: readonly X509Certificate[],
  request: CertificateRequest,
  publicKey: KeyObject,
  now: number,
): void {
  const chain = pems.map((pem) => new X509Certificate(pem));
  const [leaf] = chain;
  const fault = leaf === undefined ? "it printed none" : signedFault(leaf, chain, roots, request, publicKey, now);
  if (fault === null) return;
  throw new HaplanError("pki/signer-answer", `The signer's certificate "${request.name}" cannot be used: ${fault}`);
}

function signedFault(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  request: CertificateRequest,
  publicKey: KeyObject,
  now: number,
): string | null {
  if (!leaf.publicKey.equals(publicKey)) return "it is not for the key of the request (is it the first one printed?)";
  if (!leadsTo(chain, roots)) return "neither caFile nor an intermediate authority that was printed has signed it";
  const observed = observeCertificate(request.name, leaf.toString(), null);
  const { status } = certificateValidity(observed, now);
  if (status !== "valid")
    return status === "expired" ? `it expired on ${observed.notAfter}` : `it is not valid before ${observed.notBefore}`;
  if (request.profile === "member" && observed.profile !== "member") {
    return "its extended key usage lacks serverAuth or clientAuth, and members need both";
  }
  const missing = request.subjectAltNames.filter((name) => !observed.subjectAltNames.includes(name));
  if (missing.length > 0) return `it lacks the names ${missing.join(", ")}`;
  return commonNameOf(leaf) === request.commonName ? null : `its common name is not ${request.commonName}`;
}
