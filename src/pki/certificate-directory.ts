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

/** The authority's own name among those of the certificates. */
export const authorityName = "ca";
const previousSuffix = ".previous.crt";

/** A certificate and its key, in PEM. */
export type Pair = { readonly certificatePem: string; readonly keyPem: string };

export type AuthorityFiles = {
  readonly certificatePem: string;
  /** Null unless it is the key of this certificate. */
  readonly keyPem: string | null;
  readonly signingKey: ObservedAuthority["signingKey"];
};

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

/** Names of the certificates in the directory, without the authority's own. */
export function issuedNames(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((file) => file.endsWith(".crt") && !file.endsWith(previousSuffix))
      .map((file) => file.slice(0, -".crt".length))
      .filter((name) => name !== authorityName)
      .sort();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** Null if its certificate is missing; its key may be kept elsewhere. */
export function readAuthority(directory: string): AuthorityFiles | null {
  const certificatePem = readIfExists(certificatePath(directory, authorityName));
  if (certificatePem === null) return null;
  const keyPem = readIfExists(keyPath(directory, authorityName));
  if (keyPem === null) return { certificatePem, keyPem, signingKey: "missing" };
  const matches = isKeyOf(directory, authorityName, { certificatePem, keyPem });
  return matches
    ? { certificatePem, keyPem, signingKey: "present" }
    : { certificatePem, keyPem: null, signingKey: "mismatched" };
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
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name) && name !== authorityName) return;
  throw new HaplanError(
    "pki/bad-name",
    `Cannot use "${name}" as a certificate's name: use letters, digits, "-", "_" and "."; "ca" is reserved`,
  );
}
