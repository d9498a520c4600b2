/**
 * The cluster's certificate authority: a folder with its certificate, its key, and a certificate and key for everyone
 * it has issued to. The authority's key never leaves the folder. Every file is replaced atomically; a key whose
 * certificate did not make it to disk counts as not issued, and is issued anew.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Authority, CertificateRequest, TlsMaterial } from "../apply/ports.ts";
import { makeFolderDurably, syncFolder, writeFileDurably } from "../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../base/haplan-error.ts";
import type { ObservedCertificate } from "../plan/observed-cluster.ts";
import { keyIdentifier, nameOf, signCertificate } from "./certificate.ts";
import { certificateValidity, issuerNames, observeCertificate } from "./certificate-facts.ts";

export type AuthorityOptions = {
  /** Where the files are; made when the authority is. */
  readonly folder: string;
  /** Milliseconds since the epoch; the system's clock unless told otherwise. */
  readonly now?: () => number;
};

const authorityName = "ca";
const millisecondsPerDay = 86_400_000;
const authorityLifetimeDays = 3650;
const certificateLifetimeDays = 365;
/** Certificates start in the past by this much, for hosts whose clock is behind. */
const backdatedMs = 3_600_000;

/** Opens the authority kept in `folder`; nothing is read or written before a method is called. */
export function openAuthority(options: AuthorityOptions): Authority {
  const folder = options.folder;
  const now = options.now ?? Date.now;
  return {
    observe: async () => observeFolder(folder),
    createAuthority: async (commonName) => createAuthority(folder, commonName, now()),
    issue: async (request) => issue(folder, request, now()),
    material: async (name) => material(folder, name),
    removeCertificate: async (name) => {
      assertCertificateName(name);
      rmSync(keyPath(folder, name), { force: true });
      rmSync(certificatePath(folder, name), { force: true });
    },
    removeAuthority: async () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Where `name`'s certificate is, in PEM; `ca` names the authority itself. For programs that take paths. */
export function certificatePath(folder: string, name: string): string {
  return join(folder, `${name}.crt`);
}

/** Where `name`'s private key is, in PKCS #8 PEM, mode 0600. */
export function keyPath(folder: string, name: string): string {
  return join(folder, `${name}.key`);
}

/** A certificate and its key, in PEM. */
export type Pair = { readonly certificatePem: string; readonly keyPem: string };

function observeFolder(folder: string): Awaited<ReturnType<Authority["observe"]>> {
  const authority = readPair(folder, authorityName);
  const certificates: ObservedCertificate[] = [];
  for (const name of issuedNames(folder)) {
    const pair = readPair(folder, name);
    if (pair !== null && authority !== null && isIssuedBy(pair, authority)) {
      certificates.push(observeCertificate(name, pair.certificatePem));
    }
  }
  return {
    authority: authority === null ? null : observeCertificate(authorityName, authority.certificatePem),
    certificates,
  };
}

export function issuedNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith(".crt"))
      .map((file) => file.slice(0, -".crt".length))
      .filter((name) => name !== authorityName)
      .sort();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

function createAuthority(folder: string, commonName: string, now: number): ObservedCertificate {
  const present = readPair(folder, authorityName);
  if (present !== null) return observeCertificate(authorityName, present.certificatePem);
  makeFolderDurably(folder);
  const keys = generateKeys();
  const certificatePem = signCertificate(
    {
      profile: "authority",
      commonName,
      subjectAltNames: [],
      ...lifetime(now, authorityLifetimeDays),
      publicKey: keys.publicKey,
    },
    { name: nameOf(commonName), keyIdentifier: keyIdentifier(keys.publicKey), privateKey: keys.privateKey },
  );
  writePair(folder, authorityName, certificatePem, keys.privateKey);
  return observeCertificate(authorityName, certificatePem);
}

function issue(folder: string, request: CertificateRequest, now: number): ObservedCertificate {
  assertCertificateName(request.name);
  const authority = readPair(folder, authorityName);
  if (authority === null) {
    throw new HaplanError("pki/no-authority", `Cannot issue certificate "${request.name}": there is no authority yet`);
  }
  return issueInto(folder, authority, request, now);
}

/** Issues by `authority`, or returns the certificate that is there when it is from it and does what is asked. */
export function issueInto(
  folder: string,
  authority: Pair,
  request: CertificateRequest,
  now: number,
): ObservedCertificate {
  assertCertificateName(request.name);
  const present = readPair(folder, request.name);
  if (present !== null && isIssuedBy(present, authority) && answers(present.certificatePem, request, now)) {
    return observeCertificate(request.name, present.certificatePem);
  }
  makeFolderDurably(folder);
  const keys = generateKeys();
  const certificatePem = signCertificate(
    { ...request, ...lifetime(now, certificateLifetimeDays), publicKey: keys.publicKey },
    { ...issuerNames(authority.certificatePem), privateKey: createPrivateKey(authority.keyPem) },
  );
  writePair(folder, request.name, certificatePem, keys.privateKey);
  return observeCertificate(request.name, certificatePem);
}

/** Whether a certificate that is there already does what `request` asks for, and will for a while. */
function answers(certificatePem: string, request: CertificateRequest, now: number): boolean {
  const names = (list: readonly string[]): string => [...list].sort().join(",");
  const serverUse = new X509Certificate(certificatePem).keyUsage?.includes("1.3.6.1.5.5.7.3.1") ?? false;
  return (
    certificateValidity(certificatePem, now).status === "valid" &&
    commonNameOf(certificatePem) === request.commonName &&
    serverUse === (request.profile === "member") &&
    names(observeCertificate(request.name, certificatePem).subjectAltNames) === names(request.subjectAltNames)
  );
}

function material(folder: string, name: string): TlsMaterial {
  assertCertificateName(name);
  const authority = readPair(folder, authorityName);
  const pair = readPair(folder, name);
  if (authority === null || pair === null) {
    throw new HaplanError("pki/unknown-certificate", `There is no certificate "${name}" in "${folder}"`);
  }
  return { caPem: authority.certificatePem, ...pair };
}

/** Null when either half is missing or the halves do not belong together, as after a crash between the two writes. */
export function readPair(folder: string, name: string): Pair | null {
  let pair: Pair;
  try {
    pair = {
      certificatePem: readFileSync(certificatePath(folder, name), "utf8"),
      keyPem: readFileSync(keyPath(folder, name), "utf8"),
    };
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
  try {
    const matches = new X509Certificate(pair.certificatePem).checkPrivateKey(createPrivateKey(pair.keyPem));
    return matches ? pair : null;
  } catch (error) {
    throw new HaplanError("pki/unreadable", `Cannot read certificate "${name}" in "${folder}": its files are damaged`, {
      cause: error,
    });
  }
}

function writePair(folder: string, name: string, certificatePem: string, privateKey: KeyObject): void {
  writeFileDurably(keyPath(folder, name), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  writeFileDurably(certificatePath(folder, name), certificatePem, { mode: 0o644 });
  syncFolder(folder);
}

export function isIssuedBy(pair: Pair, authority: Pick<Pair, "certificatePem">): boolean {
  return new X509Certificate(pair.certificatePem).verify(createPublicKey(authority.certificatePem));
}

function commonNameOf(certificatePem: string): string {
  // One relative name per line; ours have a single one.
  return new X509Certificate(certificatePem).subject.replace(/^CN=/, "");
}

function generateKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function lifetime(now: number, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now - backdatedMs), notAfter: new Date(now + days * millisecondsPerDay) };
}

/** Names become file names: they must not leave the folder nor overwrite the authority. */
function assertCertificateName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) && name !== authorityName) return;
  throw new HaplanError(
    "pki/bad-name",
    `Cannot use "${name}" as a certificate's name: use letters, digits, "-", "_" and "."; "ca" is taken`,
  );
}
