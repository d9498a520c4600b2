import type { X509Certificate } from "node:crypto";

/** SHA-256 in lowercase hexadecimal, which identifies a certificate everywhere in haplan. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(":", "").toLowerCase();
}
