/** Signs certificates and writes them into the authority's directory. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { makeDirDurably, writeFileDurably } from "../base/durable-file.ts";
import { HaplanError } from "../base/haplan-error.ts";
import { certificateLifetimeDays, certificateValidity, dayOf, msPerDay } from "../plan/certificate-validity.ts";
import type { ObservedCertificate } from "../plan/observed-cluster.ts";
import { signCertificate } from "../x509/certificate.ts";
import type { CertificateRequest } from "./authority-port.ts";
import { assertCertificateName, type Pair, previousPath, readPair, writePair } from "./certificate-directory.ts";
import { issuerNames, observeCertificate, validityOf } from "./certificate-facts.ts";

export const certificateLifetimeMs: number = certificateLifetimeDays * msPerDay;

/**
 * Issues a certificate by `authority`, or returns the existing one if that authority issued it and it satisfies the
 * request.
 */
export function issueInto(
  directory: string,
  authority: Pair,
  request: CertificateRequest,
  now: number,
): ObservedCertificate {
  assertCertificateName(request.name);
  const present = readPair(directory, request.name);
  if (present !== null && isIssuedBy(present, authority) && answersRequest(present.certificatePem, request, now)) {
    return observeCertificate(request.name, present.certificatePem, authority.certificatePem);
  }
  makeDirDurably(directory);
  const { certificatePem, privateKey } = sign(authority, request, now, certificateLifetimeMs);
  if (present !== null)
    writeFileDurably(previousPath(directory, request.name), present.certificatePem, { mode: 0o644 });
  writePair(directory, request.name, certificatePem, privateKey);
  return observeCertificate(request.name, certificatePem, authority.certificatePem);
}

/** Signs for a new key. A certificate never outlives its authority. @throws HaplanError `pki/authority-expired` */
export function sign(
  authority: Pair,
  request: CertificateRequest,
  now: number,
  lifetimeMs: number,
): { readonly certificatePem: string; readonly privateKey: KeyObject } {
  const dates = validityOf(new X509Certificate(authority.certificatePem));
  if (certificateValidity(dates, now).status === "expired") {
    throw new HaplanError(
      "pki/authority-expired",
      `Cannot issue certificate "${request.name}": the authority expired on ${dayOf(dates.notAfter)}`,
    );
  }
  const keys = generateKeys();
  const content = {
    ...request,
    notBefore: new Date(dates.notBefore),
    notAfter: new Date(Math.min(now + lifetimeMs, Date.parse(dates.notAfter))),
    publicKey: keys.publicKey,
  };
  const issuer = { ...issuerNames(authority.certificatePem), privateKey: createPrivateKey(authority.keyPem) };
  const certificatePem = signCertificate(content, issuer);
  return { certificatePem, privateKey: keys.privateKey };
}

/** Reports whether an existing certificate satisfies `request`. */
export function answersRequest(certificatePem: string, request: CertificateRequest, now: number): boolean {
  const names = (list: readonly string[]): string => [...list].sort().join(",");
  const present = observeCertificate(request.name, certificatePem, null);
  return (
    present.fingerprint !== request.replaces &&
    certificateValidity(present, now).status === "valid" &&
    commonNameOf(new X509Certificate(certificatePem)) === request.commonName &&
    present.profile === request.profile &&
    names(present.subjectAltNames) === names(request.subjectAltNames)
  );
}

export function isIssuedBy(
  { certificatePem }: Pick<Pair, "certificatePem">,
  authority: Pick<Pair, "certificatePem">,
): boolean {
  return new X509Certificate(certificatePem).verify(new X509Certificate(authority.certificatePem).publicKey);
}

export function commonNameOf({ subject }: X509Certificate): string {
  // One relative name per line; haplan's certificates have a single one.
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? subject;
}

export function generateKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}
