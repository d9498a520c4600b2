/** haplan's client certificate, and the members' certificates that it accepts although they have expired. */
import { X509Certificate } from "node:crypto";
import { fingerprintOf } from "../base/fingerprint.ts";
import { HaplanError } from "../base/haplan-error.ts";
import { certificateValidity, dayOf } from "../plan/certificate-validity.ts";
import { adminCertificateName } from "../plan/desired-resources.ts";
import { signingKeyFault } from "../plan/signing-key.ts";
import {
  type AuthorityFiles,
  certificatePath,
  issuedNames,
  type Pair,
  previousPath,
  readAuthority,
  readIfExists,
  readPair,
  trustedPem,
  trustedPems,
} from "./certificate-directory.ts";
import { validityOf } from "./certificate-facts.ts";
import { isIssuedBy, sign } from "./issue-certificate.ts";
import type { TlsMaterial } from "./tls-material.ts";

/** Validity of a certificate that is made for one run of haplan. */
const occasionalLifetimeMs = 3_600_000;

/**
 * The certificate of `admin`; or one for an hour, made in memory, if that one cannot be used and the authority can
 * sign.
 * @throws HaplanError `pki/not-authenticated` naming the file that is missing or has expired
 */
export function clientMaterial(directory: string, now: number): TlsMaterial {
  const authority = readAuthority(directory);
  if (authority === null) throw notAuthenticated(`ca.crt is missing in "${directory}"`);
  const { certificatePem, keyPem } = authority;
  const caPem = trustedPem(authority);
  const caDates = validityOf(new X509Certificate(certificatePem));
  const ended = certificateValidity(caDates, now).status === "expired";
  const acceptedExpired = knownFingerprints(directory, authority);
  const own = readPair(directory, adminCertificateName);
  const fault = checkAdmin(own, authority, now);
  // Under an expired authority no certificate is valid, and the members' clocks may differ.
  if (own !== null && (fault === null || ended)) return { caPem, ...own, acceptedExpired };
  if (ended) throw notAuthenticated(`ca.crt in "${directory}" expired on ${dayOf(caDates.notAfter)}`);
  if (keyPem === null) {
    throw notAuthenticated(
      `${adminCertificateName}.crt ${fault}, and ${signingKeyFault({ ...authority, directory })}, so haplan cannot issue another one`,
    );
  }
  return { ...temporaryClient({ certificatePem, keyPem }, caPem, now), acceptedExpired };
}

/** haplan's client certificate for one run, which is never written to disk. */
export function temporaryClient(authority: Pair, caPem: string, now: number): TlsMaterial {
  const request = { name: adminCertificateName, profile: "client", commonName: adminCertificateName } as const;
  const { certificatePem, privateKey } = sign(
    authority,
    { ...request, subjectAltNames: [] },
    now,
    occasionalLifetimeMs,
  );
  return { caPem, certificatePem, keyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** Why haplan's own certificate cannot be used; null if it can. */
function checkAdmin(own: Pair | null, authority: AuthorityFiles, now: number): string | null {
  if (own === null) return "or its key is missing";
  if (!isTrusted(own, authority)) return "was signed by another authority";
  const dates = validityOf(new X509Certificate(own.certificatePem));
  const { status } = certificateValidity(dates, now);
  if (status === "expired") return `expired on ${dayOf(dates.notAfter)}`;
  return status === "notYetValid" ? `is not valid before ${dayOf(dates.notBefore)}` : null;
}

function isTrusted(certificate: Pick<Pair, "certificatePem">, authority: AuthorityFiles): boolean {
  return trustedPems(authority).some((certificatePem) => isIssuedBy(certificate, { certificatePem }));
}

/** All certificates signed by a trusted authority that are, or were until recently, in use. */
function knownFingerprints(directory: string, authority: AuthorityFiles): readonly string[] {
  return issuedNames(directory).flatMap((name) => {
    const files = [certificatePath(directory, name), previousPath(directory, name)];
    return files.flatMap((file) => {
      const certificatePem = readIfExists(file);
      if (certificatePem === null || !isTrusted({ certificatePem }, authority)) return [];
      return [fingerprintOf(new X509Certificate(certificatePem))];
    });
  });
}

function notAuthenticated(why: string): HaplanError {
  return new HaplanError("pki/not-authenticated", `cannot authenticate: ${why}`);
}
