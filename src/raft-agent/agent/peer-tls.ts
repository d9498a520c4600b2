/** The peer port's certificates as the transport wants them: read again whenever a file has changed. */
import { rootCertificates } from "node:tls";
import type { TlsFiles } from "../config/tls-settings.ts";
import type { PeerTls, TlsMaterial } from "../transport/transport-types.ts";
import { judgeCallerAddress } from "./caller-address.ts";
import { createCertificateJudge } from "./certificate-judge.ts";
import { readTlsMaterial, tlsFilesVersion, tlsProtocol } from "./tls-material.ts";

export type CallingMaterial = TlsMaterial & { readonly rejectUnauthorized: boolean };

/** @throws HaplanError `agent/certificate` naming a file that cannot be used. */
export function createPeerTls(files: TlsFiles): PeerTls {
  const judge = createCertificateJudge(files);
  return {
    requireClientCertificate: files.requireClientCertificate,
    material: renewed(files, () => servingMaterial(files)),
    callingMaterial: renewed(files, () => callingMaterial(files)),
    refuse: async (socket) => {
      const certificate = files.checkCallerAddress ? socket.getPeerX509Certificate() : undefined;
      const address = certificate === undefined ? null : judgeCallerAddress(certificate, socket.remoteAddress);
      return judge(socket) ?? (await address);
    },
  };
}

/** A new object exactly when a file has changed: the transport takes that as the sign to use it. */
function renewed<Material>(files: TlsFiles, read: () => Material): () => Material {
  let material = read();
  let version = tlsFilesVersion(files);
  return () => {
    const now = tlsFilesVersion(files);
    if (now !== version) {
      material = read();
      version = now;
    }
    return material;
  };
}

function servingMaterial(files: TlsFiles): TlsMaterial {
  const { cert, key, ca } = readTlsMaterial(files);
  return { cert, key, ca: ca ?? rootCertificates.join("\n"), ...tlsProtocol(files) };
}

/** A certificate that signs itself can be checked by nobody (etcd's --peer-auto-tls does not try either). */
export function callingMaterial(files: TlsFiles): CallingMaterial {
  const { callingCertFile: certFile, callingKeyFile: keyFile, selfSigned } = files;
  return { ...servingMaterial({ ...files, certFile, keyFile }), rejectUnauthorized: selfSigned === null };
}
