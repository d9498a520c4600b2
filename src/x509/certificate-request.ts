/** Certificate signing requests (PKCS #10, RFC 2986), for authorities whose key haplan does not have. */
import { type KeyObject, sign } from "node:crypto";
import { type CertificateContent, nameOf, requestedExtensions, signatureAlgorithm } from "./certificate.ts";
import { derBitString, derExplicit, derInteger, derObjectIdentifier, derSequence, derSet } from "./der-writer.ts";
import { toPem } from "./pem.ts";

/** `extensionRequest` of PKCS #9 (RFC 2985 §5.4.2). */
const extensionRequest = "1.2.840.113549.1.9.14";

export type RequestContent = Pick<CertificateContent, "profile" | "commonName" | "subjectAltNames" | "publicKey">;

/**
 * The request in PEM, signed with the key that the certificate is for. It asks for the names and the usage of the
 * certificate; the authority decides when it is valid. @throws HaplanError `pki/bad-name`
 */
export function certificateRequest(content: RequestContent, privateKey: KeyObject): string {
  const algorithm = signatureAlgorithm(privateKey);
  const attribute = derSequence(
    derObjectIdentifier(extensionRequest),
    derSet(derSequence(...requestedExtensions(content))),
  );
  const toBeSigned = derSequence(
    derInteger(Buffer.of(0)),
    nameOf(content.commonName),
    content.publicKey.export({ type: "spki", format: "der" }),
    derExplicit(0, attribute),
  );
  const signature = sign("sha256", toBeSigned, { key: privateKey, dsaEncoding: "der" });
  return toPem("CERTIFICATE REQUEST", derSequence(toBeSigned, algorithm, derBitString(signature)));
}
