/**
 * The cluster's certificate authority: a folder with its certificate, its key, and a certificate and key for everyone
 * it has issued to. The authority's key never leaves the folder. Every file is replaced atomically; a key whose
 * certificate did not make it to disk counts as not issued, and is issued anew.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Authority, CertificateRequest, TlsMaterial } from "../apply/ports.ts";
import { makeFolderDurably, syncFolder, writeFileDurably } from "../base/durable-file.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import { errorText, HaplanError, systemErrorCode } from "../base/haplan-error.ts";
import { certificateLifetimeDays, certificateValidity, dayOf, msPerDay } from "../plan/certificate-validity.ts";
import { adminCertificateName } from "../plan/desired-resources.ts";
import type { ObservedAuthority, ObservedCertificate } from "../plan/observed-cluster.ts";
import { keyIdentifier, nameOf, signCertificate } from "./certificate.ts";
import { issuerNames, observeCertificate, validityOf } from "./certificate-facts.ts";

export type AuthorityOptions = {
  /** Where the files are; made when the authority is. */
  readonly folder: string;
  /** Milliseconds since the epoch; the system's clock unless told otherwise. */
  readonly now?: () => number;
};

const authorityName = "ca";
const authorityLifetimeMs = 3650 * msPerDay;
const certificateLifetimeMs = certificateLifetimeDays * msPerDay;
/** Of a certificate that is made for one run of haplan. */
const occasionalLifetimeMs = 3_600_000;
/**
 * An authority starts in the past by this much, for hosts whose clock is behind, and what it signs starts when it does:
 * however far clocks are apart, a renewed certificate is good wherever the one before it was.
 */
const backdatedMs = 3_600_000;

/** Opens the authority kept in `folder`; nothing is read or written before a method is called. */
export function openAuthority(options: AuthorityOptions): Authority {
  const folder = options.folder;
  const now = options.now ?? Date.now;
  return {
    observe: async () => observeFolder(folder),
    createAuthority: async (commonName) => createAuthority(folder, commonName, now()),
    renewAuthority: async (replaces) => renewAuthority(folder, replaces, now()),
    issue: async (request) => issue(folder, request, now()),
    material: async (name) => material(folder, name),
    clientMaterial: async () => clientMaterial(folder, now()),
    removeCertificate: async (name) => removeIssued(folder, name),
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

/**
 * The certificate that NAME.crt has replaced. A member may show it until it has taken up the new one, and haplan must
 * know it then.
 */
function previousPath(folder: string, name: string): string {
  return join(folder, `${name}${previousSuffix}`);
}

const previousSuffix = ".previous.crt";

function observeFolder(folder: string): Awaited<ReturnType<Authority["observe"]>> {
  const authority = readAuthority(folder);
  const certificates: ObservedCertificate[] = [];
  for (const name of issuedNames(folder)) {
    const pair = readPair(folder, name);
    if (pair === null) continue;
    certificates.push(observeCertificate(name, pair.certificatePem, authority?.certificatePem ?? null));
  }
  return { authority: authority === null ? null : observedAuthority(folder, authority), certificates };
}

/** Names of the certificates in the directory, without the authority's own. */
export function issuedNames(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith(".crt") && !file.endsWith(previousSuffix))
      .map((file) => file.slice(0, -".crt".length))
      .filter((name) => name !== authorityName)
      .sort();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

type AuthorityFiles = {
  readonly certificatePem: string;
  /** Null unless it is the key of this certificate. */
  readonly keyPem: string | null;
  readonly signingKey: ObservedAuthority["signingKey"];
};

/** Null when its certificate is missing; its key may be kept elsewhere. */
function readAuthority(folder: string): AuthorityFiles | null {
  const certificatePem = readIfThere(certificatePath(folder, authorityName));
  if (certificatePem === null) return null;
  const keyPem = readIfThere(keyPath(folder, authorityName));
  if (keyPem === null) return { certificatePem, keyPem, signingKey: "missing" };
  const matches = isKeyOf(folder, authorityName, { certificatePem, keyPem });
  return matches
    ? { certificatePem, keyPem, signingKey: "present" }
    : { certificatePem, keyPem: null, signingKey: "mismatched" };
}

function observedAuthority(folder: string, { certificatePem, signingKey }: AuthorityFiles): ObservedAuthority {
  const certificate = new X509Certificate(certificatePem);
  return { fingerprint: fingerprintOf(certificate), ...validityOf(certificate), signingKey, directory: folder };
}

/** @throws HaplanError `pki/no-authority`, `pki/authority-key-missing` */
function signingAuthority(folder: string, purpose: string): Pair {
  const authority = readAuthority(folder);
  if (authority === null) {
    throw new HaplanError("pki/no-authority", `Cannot ${purpose}: there is no authority in "${folder}"`);
  }
  const { certificatePem, keyPem } = authority;
  if (keyPem !== null) return { certificatePem, keyPem };
  throw new HaplanError("pki/authority-key-missing", `Cannot ${purpose}: ${keyFault(folder, authority)}`);
}

function keyFault(folder: string, { signingKey }: AuthorityFiles): string {
  return signingKey === "missing"
    ? `ca.key is missing in "${folder}"`
    : `ca.key in "${folder}" is not the key of ca.crt`;
}

function createAuthority(folder: string, commonName: string, now: number): ObservedAuthority {
  const present = readAuthority(folder);
  // A certificate without its key was never used: the key is written first.
  if (present !== null) return observedAuthority(folder, present);
  makeFolderDurably(folder);
  const keys = generateKeys();
  const certificatePem = signCertificate(
    {
      profile: "authority",
      commonName,
      subjectAltNames: [],
      notBefore: new Date(now - backdatedMs),
      notAfter: new Date(now + authorityLifetimeMs),
      publicKey: keys.publicKey,
    },
    { name: nameOf(commonName), keyIdentifier: keyIdentifier(keys.publicKey), privateKey: keys.privateKey },
  );
  writePair(folder, authorityName, certificatePem, keys.privateKey);
  return observedAuthority(folder, { certificatePem, keyPem: "", signingKey: "present" });
}

/** The same name and key: what it has signed is good under both certificates, so that nothing has to change at once. */
function renewAuthority(folder: string, replaces: string, now: number): ObservedAuthority {
  const { certificatePem: present, keyPem } = signingAuthority(folder, "renew the authority's certificate");
  const certificate = new X509Certificate(present);
  if (fingerprintOf(certificate) !== replaces) {
    return observedAuthority(folder, { certificatePem: present, keyPem, signingKey: "present" });
  }
  const privateKey = createPrivateKey(keyPem);
  const certificatePem = signCertificate(
    {
      profile: "authority",
      commonName: commonNameOf(present),
      subjectAltNames: [],
      notBefore: new Date(certificate.validFrom),
      notAfter: new Date(now + authorityLifetimeMs),
      publicKey: certificate.publicKey,
    },
    { ...issuerNames(present), privateKey },
  );
  writeFileDurably(certificatePath(folder, authorityName), certificatePem, { mode: 0o644 });
  syncFolder(folder);
  return observedAuthority(folder, { certificatePem, keyPem, signingKey: "present" });
}

function issue(folder: string, request: CertificateRequest, now: number): ObservedCertificate {
  assertCertificateName(request.name);
  return issueInto(folder, signingAuthority(folder, `issue certificate "${request.name}"`), request, now);
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
    return observeCertificate(request.name, present.certificatePem, authority.certificatePem);
  }
  makeFolderDurably(folder);
  const { certificatePem, privateKey } = sign(authority, request, now, certificateLifetimeMs);
  if (present !== null) writeFileDurably(previousPath(folder, request.name), present.certificatePem, { mode: 0o644 });
  writePair(folder, request.name, certificatePem, privateKey);
  return observeCertificate(request.name, certificatePem, authority.certificatePem);
}

/** Signs for a new key. What is signed never outlives its authority. @throws HaplanError `pki/authority-expired` */
function sign(
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

/** Whether a certificate that is there already does what `request` asks for. */
function answers(certificatePem: string, request: CertificateRequest, now: number): boolean {
  const names = (list: readonly string[]): string => [...list].sort().join(",");
  const present = observeCertificate(request.name, certificatePem, null);
  return (
    present.fingerprint !== request.replaces &&
    certificateValidity(present, now).status === "valid" &&
    commonNameOf(certificatePem) === request.commonName &&
    present.profile === request.profile &&
    names(present.subjectAltNames) === names(request.subjectAltNames)
  );
}

function material(folder: string, name: string): TlsMaterial {
  assertCertificateName(name);
  const authority = readAuthority(folder);
  const pair = readPair(folder, name);
  if (authority === null || pair === null) {
    throw new HaplanError("pki/unknown-certificate", `There is no certificate "${name}" in "${folder}"`);
  }
  return { caPem: authority.certificatePem, ...pair };
}

function clientMaterial(folder: string, now: number): TlsMaterial {
  const authority = readAuthority(folder);
  if (authority === null) throw notAuthenticated(`ca.crt is missing in "${folder}"`);
  const { certificatePem: caPem, keyPem } = authority;
  const caDates = validityOf(new X509Certificate(caPem));
  const ended = certificateValidity(caDates, now).status === "expired";
  const acceptedExpired = knownFingerprints(folder, authority);
  const own = readPair(folder, adminCertificateName);
  const fault = adminFault(own, authority, now);
  // Under an authority that has ended no other is any better, and the members' clocks may think otherwise.
  if (own !== null && (fault === null || ended)) return { caPem, ...own, acceptedExpired };
  if (ended) throw notAuthenticated(`ca.crt in "${folder}" expired on ${dayOf(caDates.notAfter)}`);
  if (keyPem === null) {
    throw notAuthenticated(
      `${adminCertificateName}.crt ${fault}, and ${keyFault(folder, authority)}, so that no other can be made`,
    );
  }
  const request = { name: adminCertificateName, profile: "client", commonName: adminCertificateName } as const;
  const signed = sign(
    { certificatePem: caPem, keyPem },
    { ...request, subjectAltNames: [] },
    now,
    occasionalLifetimeMs,
  );
  const ownKey = signed.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { caPem, certificatePem: signed.certificatePem, keyPem: ownKey, acceptedExpired };
}

/** Why haplan's own certificate is no use; null when it is. */
function adminFault(own: Pair | null, authority: AuthorityFiles, now: number): string | null {
  if (own === null) return "or its key is missing";
  if (!isIssuedBy(own, authority)) return "was signed by another authority";
  const dates = validityOf(new X509Certificate(own.certificatePem));
  const { status } = certificateValidity(dates, now);
  if (status === "expired") return `expired on ${dayOf(dates.notAfter)}`;
  return status === "notYetValid" ? `is valid only from ${dayOf(dates.notBefore)}` : null;
}

function notAuthenticated(why: string): HaplanError {
  return new HaplanError("pki/not-authenticated", `cannot authenticate: ${why}`);
}

/** Of all that the authority has signed and that is, or was a moment ago, in use. */
function knownFingerprints(folder: string, authority: Pick<Pair, "certificatePem">): readonly string[] {
  return issuedNames(folder).flatMap((name) => {
    const files = [certificatePath(folder, name), previousPath(folder, name)];
    return files.flatMap((file) => {
      const certificatePem = readIfThere(file);
      if (certificatePem === null || !isIssuedBy({ certificatePem }, authority)) return [];
      return [fingerprintOf(new X509Certificate(certificatePem))];
    });
  });
}

function removeIssued(folder: string, name: string): void {
  assertCertificateName(name);
  for (const file of [keyPath(folder, name), certificatePath(folder, name), previousPath(folder, name)]) {
    rmSync(file, { force: true });
  }
}

/** Null when either half is missing or the halves do not belong together, as after a crash between the two writes. */
export function readPair(folder: string, name: string): Pair | null {
  const certificatePem = readIfThere(certificatePath(folder, name));
  const keyPem = readIfThere(keyPath(folder, name));
  if (certificatePem === null || keyPem === null) return null;
  return isKeyOf(folder, name, { certificatePem, keyPem }) ? { certificatePem, keyPem } : null;
}

/** @throws HaplanError `pki/unreadable` */
function isKeyOf(folder: string, name: string, { certificatePem, keyPem }: Pair): boolean {
  try {
    return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch (error) {
    throw new HaplanError(
      "pki/unreadable",
      `Cannot read certificate "${name}" in "${folder}": its files are damaged (${errorText(error)})`,
      { cause: error },
    );
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}

function writePair(folder: string, name: string, certificatePem: string, privateKey: KeyObject): void {
  writeFileDurably(keyPath(folder, name), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  writeFileDurably(certificatePath(folder, name), certificatePem, { mode: 0o644 });
  syncFolder(folder);
}

export function isIssuedBy(
  { certificatePem }: Pick<Pair, "certificatePem">,
  authority: Pick<Pair, "certificatePem">,
): boolean {
  return new X509Certificate(certificatePem).verify(new X509Certificate(authority.certificatePem).publicKey);
}

function commonNameOf(certificatePem: string): string {
  // One relative name per line; ours have a single one.
  return new X509Certificate(certificatePem).subject.replace(/^CN=/, "");
}

function generateKeys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** Names become file names: they must not leave the folder nor overwrite the authority. */
function assertCertificateName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) && name !== authorityName) return;
  throw new HaplanError(
    "pki/bad-name",
    `Cannot use "${name}" as a certificate's name: use letters, digits, "-", "_" and "."; "ca" is taken`,
  );
}
