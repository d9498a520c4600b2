/**
 * Builds and signs X.509 version 3 certificates (RFC 5280) with SHA-256 and ECDSA or RSA, depending on the issuer's
 * key. The permitted use of a certificate is one of three profiles; everything else is in the request.
 */
import { createHash, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import { HaplanError } from "../base/haplan-error.ts";
import { canonicalAddress } from "../base/ip-address.ts";
import {
  derBitString,
  derBoolean,
  derExplicit,
  derImplicit,
  derInteger,
  derObjectIdentifier,
  derOctetString,
  derSequence,
  derSet,
  derTime,
  derUtf8String,
} from "./der-writer.ts";
import { toPem } from "./pem.ts";

/** `authority` signs others; `member` serves and connects; `client` only connects. */
type CertificateProfile = "authority" | "member" | "client";

export type CertificateContent = {
  readonly profile: CertificateProfile;
  readonly commonName: string;
  /** IP addresses and DNS names, in this order in the certificate. */
  readonly subjectAltNames: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: KeyObject;
};

/** The signer: for an authority's own certificate its own name and keys. */
export type CertificateIssuer = {
  /** Its distinguished name, in DER: see `nameOf`, and `issuerNames` for an external authority. */
  readonly name: Uint8Array;
  /** Null when it has none: a certificate must not refer to an identifier that its issuer does not have. */
  readonly keyIdentifier: Uint8Array | null;
  readonly privateKey: KeyObject;
};

const ecdsaWithSha256 = derSequence(derObjectIdentifier("1.2.840.10045.4.3.2"));
/** With the NULL required by RFC 4055 §5. */
const rsaWithSha256 = derSequence(derObjectIdentifier("1.2.840.113549.1.1.11"), Buffer.of(0x05, 0x00));
const oid = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
};
/** RFC 5280, appendix A.1: `ub-common-name`. */
const commonNameLengthMax = 64;

/**
 * Returns the certificate in PEM. @throws HaplanError `pki/bad-name` when the common name or a subject alternative
 * name is not valid in a certificate.
 */
export function signCertificate(content: CertificateContent, issuer: CertificateIssuer): string {
  const algorithm = signatureAlgorithm(issuer.privateKey);
  const toBeSigned = derSequence(
    derExplicit(0, derInteger(Buffer.of(2))),
    derInteger(randomSerialNumber()),
    algorithm,
    issuer.name,
    derSequence(derTime(content.notBefore), derTime(content.notAfter)),
    nameOf(content.commonName),
    content.publicKey.export({ type: "spki", format: "der" }),
    derExplicit(3, derSequence(...extensions(content, issuer))),
  );
  const signature = sign("sha256", toBeSigned, { key: issuer.privateKey, dsaEncoding: "der" });
  return toPem("CERTIFICATE", derSequence(toBeSigned, algorithm, derBitString(signature)));
}

/** @throws HaplanError `pki/key-type` */
export function signatureAlgorithm(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === "ec") return ecdsaWithSha256;
  if (key.asymmetricKeyType === "rsa") return rsaWithSha256;
  throw new HaplanError(
    "pki/key-type",
    `Cannot sign with a key of type ${key.asymmetricKeyType}: use an authority with an RSA or an EC key`,
  );
}

/** 127 random bits: unique without a stored counter, and positive. */
function randomSerialNumber(): Buffer {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return serial;
}

/** A distinguished name that is one common name. @throws HaplanError `pki/bad-name` */
export function nameOf(commonName: string): Buffer {
  if (commonName === "" || [...commonName].length > commonNameLengthMax) {
    throw new HaplanError(
      "pki/bad-name",
      `Cannot put the common name "${commonName}" into a certificate: it must have 1 to ${commonNameLengthMax} characters`,
    );
  }
  return derSequence(derSet(derSequence(derObjectIdentifier(oid.commonName), derUtf8String(commonName))));
}

function extensions(content: CertificateContent, { keyIdentifier: identifier }: CertificateIssuer): Buffer[] {
  const list = [extension(oid.subjectKeyIdentifier, false, derOctetString(keyIdentifier(content.publicKey)))];
  if (identifier !== null) {
    list.push(extension(oid.authorityKeyIdentifier, false, derSequence(derImplicit(0, identifier))));
  }
  return [...requestedExtensions(content), ...list];
}

/** The extensions that a request asks for: use and names. */
export function requestedExtensions({
  profile,
  subjectAltNames,
}: Pick<CertificateContent, "profile" | "subjectAltNames">): Buffer[] {
  const isAuthority = profile === "authority";
  // keyCertSign and cRLSign for an authority, digitalSignature for all others (RFC 5280 §4.2.1.3).
  const keyUsage = isAuthority ? derBitString(Buffer.of(0b0000_0110), 1) : derBitString(Buffer.of(0b1000_0000), 7);
  const list = [
    extension(oid.basicConstraints, true, isAuthority ? derSequence(derBoolean(true)) : derSequence()),
    extension(oid.keyUsage, true, keyUsage),
  ];
  if (!isAuthority) {
    const usages = profile === "member" ? [oid.serverAuth, oid.clientAuth] : [oid.clientAuth];
    list.push(extension(oid.extendedKeyUsage, false, derSequence(...usages.map(derObjectIdentifier))));
  }
  if (subjectAltNames.length > 0) {
    list.push(extension(oid.subjectAltName, false, derSequence(...subjectAltNames.map(generalName))));
  }
  return list;
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const wrapped = derOctetString(value);
  return critical
    ? derSequence(derObjectIdentifier(id), derBoolean(true), wrapped)
    : derSequence(derObjectIdentifier(id), wrapped);
}

/** The leftmost 160 bits of SHA-256 over the public point (RFC 7093 §2, method 1). */
export function keyIdentifier(publicKey: KeyObject): Buffer {
  const uncompressedPointLength = 65;
  const point = publicKey.export({ type: "spki", format: "der" }).subarray(-uncompressedPointLength);
  return createHash("sha256").update(point).digest().subarray(0, 20);
}

function generalName(name: string): Buffer {
  const family = isIP(name);
  if (family === 4) return derImplicit(7, Buffer.from(name.split(".").map(Number)));
  if (family === 6) return derImplicit(7, ipv6Bytes(name));
  if (!/^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$/.test(name)) {
    throw new HaplanError(
      "pki/bad-name",
      `Cannot put "${name}" into a certificate: use an IP address or a DNS name, without scheme and port`,
    );
  }
  return derImplicit(2, Buffer.from(name, "ascii"));
}

function ipv6Bytes(address: string): Buffer {
  // Every spelling, an embedded IPv4 address included, becomes groups of hex digits.
  const [head = "", tail] = canonicalAddress(address).split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const front = groups(head);
  const back = groups(tail ?? "");
  const all = [...front, ...Array<string>(8 - front.length - back.length).fill("0"), ...back];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}
