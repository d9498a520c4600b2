/**
 * Replaces an authority by one with another key, in three parts: the next one is created and trusted, it starts to sign,
 * and the previous one is no longer trusted. Each part can be repeated after a crash: `ca.crt`, which is replaced
 * atomically, decides which authorities are trusted, and the first one in it signs.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { rmSync } from "node:fs";
import { syncDir, writeFileDurably } from "../base/durable-file.ts";
import { fingerprintOf } from "../base/fingerprint.ts";
import { HaplanError } from "../base/haplan-error.ts";
import { keyIdentifier, nameOf, signCertificate } from "../x509/certificate.ts";
import {
  type AuthorityFiles,
  authorityName,
  certificatePath,
  crossPath,
  keyPath,
  nextAuthorityName,
  type Pair,
  readAuthority,
  readIfExists,
} from "./certificate-directory.ts";
import { issuerNames } from "./certificate-facts.ts";
import { generateKeys } from "./issue-certificate.ts";

export type AuthorityDates = { readonly notBefore: Date; readonly notAfter: Date };

/**
 * Creates the next authority, which is trusted from now on, or returns the present one. The authority that signs signs
 * its certificate as well, if its key is there.
 */
export function addAuthority(directory: string, commonName: string, dates: AuthorityDates): AuthorityFiles {
  const present = presentAuthority(directory);
  if (present.next !== null) return present;
  if (present.previousPems.length > 0) {
    throw new HaplanError(
      "pki/rotation-unfinished",
      `Cannot replace the authority in "${directory}": a previous one is still trusted`,
    );
  }
  const keys = generateKeys();
  const content = {
    profile: "authority" as const,
    commonName,
    subjectAltNames: [],
    ...dates,
    publicKey: keys.publicKey,
  };
  const own = { name: nameOf(commonName), keyIdentifier: keyIdentifier(keys.publicKey), privateKey: keys.privateKey };
  const certificatePem = signCertificate(content, own);
  const keyPem = keys.privateKey.export({ type: "pkcs8", format: "pem" });
  writeFileDurably(keyPath(directory, nextAuthorityName), keyPem, { mode: 0o600 });
  if (present.keyPem === null) rmSync(crossPath(directory), { force: true });
  else {
    const { notAfter } = dates;
    const until = new Date(
      Math.min(notAfter.getTime(), Date.parse(new X509Certificate(present.certificatePem).validTo)),
    );
    const issuer = { ...issuerNames(present.certificatePem), privateKey: createPrivateKey(present.keyPem) };
    const crossPem = signCertificate({ ...content, notAfter: until }, issuer);
    writeFileDurably(crossPath(directory), crossPem, { mode: 0o644 });
  }
  writeTrusted(directory, [present.certificatePem, certificatePem]);
  return presentAuthority(directory);
}

/** The next authority signs from now on. The key of the previous one is deleted. */
export function activateAuthority(directory: string): AuthorityFiles {
  const present = presentAuthority(directory);
  const { next } = present;
  if (next !== null) writeTrusted(directory, [next.certificatePem, present.certificatePem, ...present.previousPems]);
  moveNextKey(directory);
  return presentAuthority(directory);
}

/** Only the authority that signs is trusted from now on, and the next one if there is one. */
export function dropAuthority(directory: string): AuthorityFiles {
  const present = presentAuthority(directory);
  const kept = [present.certificatePem, ...(present.next === null ? [] : [present.next.certificatePem])];
  if (present.previousPems.length > 0) writeTrusted(directory, kept);
  moveNextKey(directory);
  if (present.next === null) rmSync(crossPath(directory), { force: true });
  return presentAuthority(directory);
}

/** Completes an activation: the key of the authority that signs is in `ca.key`. */
function moveNextKey(directory: string): void {
  const { keyPem, next } = presentAuthority(directory);
  const nextKey = readIfExists(keyPath(directory, nextAuthorityName));
  if (next !== null || nextKey === null || nextKey !== keyPem) return;
  writeFileDurably(keyPath(directory, authorityName), nextKey, { mode: 0o600 });
  syncDir(directory);
  rmSync(keyPath(directory, nextAuthorityName), { force: true });
}

function writeTrusted(directory: string, pems: readonly string[]): void {
  writeFileDurably(certificatePath(directory, authorityName), pems.join(""), { mode: 0o644 });
  syncDir(directory);
}

function presentAuthority(directory: string): AuthorityFiles {
  const present = readAuthority(directory);
  if (present !== null) return present;
  throw new HaplanError("pki/no-authority", `There is no authority in "${directory}"`);
}

/** The certificate of the signing authority by the previous one; null if there is none. */
export function crossCertificate(directory: string, { certificatePem }: Pick<Pair, "certificatePem">): string | null {
  const crossPem = readIfExists(crossPath(directory));
  if (crossPem === null) return null;
  const cross = new X509Certificate(crossPem);
  const own = new X509Certificate(certificatePem);
  const isOfOwnKey = cross.publicKey.equals(own.publicKey) && fingerprintOf(cross) !== fingerprintOf(own);
  return isOfOwnKey ? crossPem : null;
}
