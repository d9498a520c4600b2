/**
 * The certificate of --auto-tls and --peer-auto-tls: self-signed, created once and then found in the data directory
 * (etcd client/pkg/transport/listener.go, SelfCert).
 */
import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirDurably, writeFileDurably } from "../../../base/durable-file.ts";
import { errorText, HaplanError } from "../../../base/haplan-error.ts";
import { keyIdentifier, nameOf, signCertificate } from "../../../x509/certificate.ts";
import type { TlsFiles } from "../../config/tls-settings.ts";

const clockSkewMs = 60_000;

/**
 * Does nothing when the files exist, or are the user's. @throws HaplanError `agent/certificate` when they cannot be
 * written
 */
export function createSelfSigned({ selfSigned, certFile, keyFile }: TlsFiles): void {
  if (selfSigned === null || (existsSync(certFile) && existsSync(keyFile))) return;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const notBefore = new Date(Date.now() - clockSkewMs);
  const notAfter = new Date(notBefore);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + selfSigned.validYears);
  const commonName = "haplan-agent";
  const certificate = signCertificate(
    { profile: "member", commonName, subjectAltNames: selfSigned.hosts, notBefore, notAfter, publicKey },
    { name: nameOf(commonName), keyIdentifier: keyIdentifier(publicKey), privateKey },
  );
  try {
    makeDirDurably(dirname(certFile));
    writeFileDurably(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    writeFileDurably(certFile, certificate);
  } catch (cause) {
    throw new HaplanError(
      "agent/certificate",
      `Cannot write the certificate "${certFile}": ${errorText(cause)}; set --data-dir to a path that this user may write to, or provide a certificate`,
      { cause },
    );
  }
}
