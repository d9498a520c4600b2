/** Properties of a certificate that a plan compares and a status shows. */
import { X509Certificate } from "node:crypto";
import { isIPv6 } from "node:net";
import { fingerprintOf } from "../base/fingerprint.ts";
import { canonicalAddress } from "../base/ip-address.ts";
import type { ObservedCertificate } from "../plan/observed-cluster.ts";
import { type DerElement, derElements } from "../x509/der-reader.ts";

const serverAuthOid = "1.3.6.1.5.5.7.3.1";

/** `authorityPem` is the current authority's certificate, if there is one. @throws if `pem` contains no certificate. */
export function observeCertificate(name: string, pem: string, authorityPem: string | null): ObservedCertificate {
  const certificate = new X509Certificate(pem);
  const authority = authorityPem === null ? null : new X509Certificate(authorityPem);
  const trusted = authority !== null && certificate.verify(authority.publicKey);
  return {
    name,
    fingerprint: fingerprintOf(certificate),
    profile: certificate.keyUsage?.includes(serverAuthOid) ? "member" : "client",
    subjectAltNames: subjectAltNames(certificate),
    ...validityOf(certificate),
    trusted,
    endsWithAuthority: trusted && certificate.validTo === authority.validTo,
  };
}

/** The start and the end of its validity, in ISO 8601. */
export function validityOf(certificate: X509Certificate): { readonly notBefore: string; readonly notAfter: string } {
  return {
    notBefore: new Date(certificate.validFrom).toISOString(),
    notAfter: new Date(certificate.validTo).toISOString(),
  };
}

function subjectAltNames(certificate: X509Certificate): string[] {
  if (certificate.subjectAltName === undefined) return [];
  return certificate.subjectAltName.split(", ").map((entry) => {
    const value = entry.slice(entry.indexOf(":") + 1);
    return isIPv6(value) ? canonicalAddress(value) : value;
  });
}

const subjectKeyIdentifierOid = Buffer.from("551d0e", "hex");
const versionTag = 0xa0;
const extensionsTag = 0xa3;

/**
 * The fields that certificates issued by this one must repeat: its subject, byte for byte, and its key identifier if it
 * has one (RFC 5280 §4.1.2.4 and §4.2.1.1). @throws if `pem` contains no certificate.
 */
export function issuerNames(pem: string): { readonly name: Uint8Array; readonly keyIdentifier: Uint8Array | null } {
  const [certificate] = derElements(new X509Certificate(pem).raw);
  const [toBeSigned] = partsOf(certificate);
  const fields = partsOf(toBeSigned);
  // Serial number, algorithm, issuer and validity precede the subject, and the version if it is not the first.
  const name = fields[fields[0]!.tag === versionTag ? 5 : 4]!.bytes;
  const [extensions] = partsOf(fields.find((field) => field.tag === extensionsTag));
  const found = partsOf(extensions).find((extension) =>
    subjectKeyIdentifierOid.equals(partsOf(extension)[0]!.contents),
  );
  const [identifier] = partsOf(partsOf(found).at(-1));
  return { name, keyIdentifier: identifier?.contents ?? null };
}

function partsOf(element: DerElement | undefined): readonly DerElement[] {
  return element === undefined ? [] : derElements(element.contents);
}
