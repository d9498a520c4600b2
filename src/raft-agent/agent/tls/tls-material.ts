/**
 * Certificates from files, reread whenever they change, so that a renewed certificate or a second authority takes
 * effect for new connections without a restart (etcd rereads certificates but not authorities).
 */
import { readFileSync, statSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import type { TlsFiles } from "../../config/tls-settings.ts";

/** The content of the files; without an authority the caller decides what to trust. */
export type PemContents = { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer | null };

/** @throws HaplanError `agent/certificate` naming a file that cannot be used. */
export function readTlsMaterial(files: TlsFiles): PemContents {
  const { certFile, keyFile, trustedCaFile } = files;
  return {
    cert: readPem(certFile),
    key: readPem(keyFile),
    ca: trustedCaFile === null ? null : readPem(trustedCaFile),
  };
}

export function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new HaplanError("agent/certificate", `Cannot read the certificate file "${path}": ${errorText(cause)}`, {
      cause,
    });
  }
}

/** Versions and cipher suites, as Node takes them. */
export function tlsProtocol(files: TlsFiles): Pick<SecureContextOptions, "ciphers" | "minVersion" | "maxVersion"> {
  const { ciphers, minVersion, maxVersion } = files;
  return { minVersion, maxVersion, ...(ciphers === null ? {} : { ciphers }) };
}

/** A cheap fingerprint of the current files: changes when one of them is written or replaced. */
export function tlsFilesVersion(files: TlsFiles): string {
  const { certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile } = files;
  return [certFile, keyFile, clientCertFile, clientKeyFile, trustedCaFile]
    .map((path) => {
      const stat = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? "-" : `${stat.ino}.${stat.mtimeMs}.${stat.size}`;
    })
    .join(" ");
}
