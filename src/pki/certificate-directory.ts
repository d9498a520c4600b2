/**
 * The directory of an authority: its certificate and key, and a certificate and key for each name that it has issued
 * to. Every file is replaced atomically; a key without its certificate on disk counts as not issued.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { syncDir, writeFileDurably } from "../base/durable-file.ts";
import { errorText, HaplanError, systemErrorCode } from "../base/haplan-error.ts";
import type { ObservedAuthority } from "../plan/observed-cluster.ts";
import { certificatesIn } from "../x509/pem.ts";

/** The authority's own name among those of the certificates. */
export const authorityName = "ca";
const previousSuffix = ".previous.crt";

/** A certificate and its key, in PEM. */
export type Pair = { readonly certificatePem: string; readonly keyPem: string };

/**
 * `ca.crt` holds every trusted authority; the first one signs. While an authority is replaced there are two: the next one,
 * whose key is in `ca.next.key`, or the previous one, whose key is gone.
 */
export type AuthorityFiles = {
  /** Of the authority that signs. */
  readonly certificatePem: string;
  /** Null unless it is the key of this certificate. */
  readonly keyPem: string | null;
  readonly signingKey: ObservedAuthority["signingKey"];
  /** Trusted already, and to sign later. */
  readonly next: Pair | null;
  /** Still trusted, and no longer signing. */
  readonly previousPems: readonly string[];
};

/** The key of an authority that does not sign yet. */
export const nextAuthorityName = "ca.next";

/** Path of `name`'s certificate, in PEM; `ca` is the authority itself. For programs that take paths. */
export function certificatePath(directory: string, name: string): string {
  return join(directory, `${name}.crt`);
}

/** Path of `name`'s private key, in PKCS #8 PEM, mode 0600. */
export function keyPath(directory: string, name: string): string {
  return join(directory, `${name}.key`);
}

/**
 * The certificate that NAME.crt has replaced. A member may present it until it has reloaded the new one, and haplan
 * must accept it until then.
 */
export function previousPath(directory: string, name: string): string {
  return join(directory, `${name}${previousSuffix}`);
}

/**
 * The certificate of the current authority, signed by the previous one: clients that trust only the previous one verify
 * certificates of the current one through it.
 */
export function crossPath(directory: string): string {
  return join(directory, "ca.cross.crt");
}

/** Names of the certificates in the directory, without the authority's own. */
export function issuedNames(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((file) => file.endsWith(".crt") && !file.endsWith(previousSuffix))
      .map((file) => file.slice(0, -".crt".length))
      .filter((name) => name !== authorityName && !name.startsWith(`${authorityName}.`))
      .sort();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** Null if its certificate is missing; its key may be kept elsewhere. */
export function readAuthority(directory: string): AuthorityFiles | null {
  const text = readIfExists(certificatePath(directory, authorityName));
  if (text === null) return null;
  const [certificatePem = text, ...others] = certificatesIn(text);
  const nextKey = readIfExists(keyPath(directory, nextAuthorityName));
  const ofNext = (pem: string): boolean =>
    nextKey !== null && isKeyOf(directory, nextAuthorityName, { certificatePem: pem, keyPem: nextKey });
  const nextPem = others.find(ofNext);
  const next = nextPem === undefined || nextKey === null ? null : { certificatePem: nextPem, keyPem: nextKey };
  return {
    certificatePem,
    // An activation that was interrupted has not moved the key yet.
    ...(ofNext(certificatePem) ? { keyPem: nextKey, signingKey: "present" } : ownKey(directory, certificatePem)),
    next,
    previousPems: others.filter((pem) => pem !== nextPem),
  };
}

function ownKey(directory: string, certificatePem: string): Pick<AuthorityFiles, "keyPem" | "signingKey"> {
  const keyPem = readIfExists(keyPath(directory, authorityName));
  if (keyPem === null) return { keyPem: null, signingKey: "missing" };
  const matches = isKeyOf(directory, authorityName, { certificatePem, keyPem });
  return matches ? { keyPem, signingKey: "present" } : { keyPem: null, signingKey: "mismatched" };
}

/** All trusted authorities. Their order does not depend on which of them signs, so that a change of that rewrites no file. */
export function trustedPems({ certificatePem, next, previousPems }: AuthorityFiles): readonly string[] {
  const all = [certificatePem, ...(next === null ? [] : [next.certificatePem]), ...previousPems];
  return all.length === 1 ? all : [...all].sort();
}

/** `ca.crt` as a client needs it. */
export function trustedPem(authority: AuthorityFiles): string {
  return trustedPems(authority).join("");
}

/** Null if either file is missing or the two do not belong together, as after a crash between the two writes. */
export function readPair(directory: string, name: string): Pair | null {
  const certificatePem = readIfExists(certificatePath(directory, name));
  const keyPem = readIfExists(keyPath(directory, name));
  if (certificatePem === null || keyPem === null) return null;
  return isKeyOf(directory, name, { certificatePem, keyPem }) ? { certificatePem, keyPem } : null;
}

export function writePair(directory: string, name: string, certificatePem: string, privateKey: KeyObject): void {
  writeFileDurably(keyPath(directory, name), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  writeFileDurably(certificatePath(directory, name), certificatePem, { mode: 0o644 });
  syncDir(directory);
}

export function removeIssued(directory: string, name: string): void {
  assertCertificateName(name);
  for (const file of [keyPath(directory, name), certificatePath(directory, name), previousPath(directory, name)]) {
    rmSync(file, { force: true });
  }
}

export function readIfExists(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** @throws HaplanError `pki/unreadable` */
function isKeyOf(directory: string, name: string, { certificatePem, keyPem }: Pair): boolean {
  try {
    return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch (error) {
    throw new HaplanError(
      "pki/unreadable",
      `Cannot read certificate "${name}" in "${directory}": its files are damaged (${errorText(error)})`,
      { cause: error },
    );
  }
}

/** Names become file names: they must not leave the directory nor overwrite the authority. */
export function assertCertificateName(name: string): void {
  const reserved = name === authorityName || name.startsWith(`${authorityName}.`);
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) && !reserved) return;
  throw new HaplanError(
    "pki/bad-name",
    `Cannot use "${name}" as a certificate's name: use letters, digits, "-", "_" and "."; "ca" is reserved`,
  );
}
