/** The peer port's certificates as the transport wants them: read again whenever a file has changed. */
import { X509Certificate } from "node:crypto";
import { createSecureContext, type PeerCertificate, rootCertificates } from "node:tls";
import type { TlsFiles } from "../../config/tls-settings.ts";
import type { PeerTls, TlsMaterial } from "../../transport/transport-types.ts";
import { judgeCallerAddress } from "./caller-address.ts";
import { createCertificateJudge } from "./certificate-judge.ts";
import {
  type MemberCertificateRules,
  memberCertificateRules,
  refuseAtUrls,
  refuseNonMember,
} from "./member-certificate.ts";
import { readTlsMaterial, tlsFilesVersion, tlsProtocol } from "./tls-material.ts";

export type CallingMaterial = TlsMaterial & { readonly rejectUnauthorized: boolean };

/** Its own certificate tells which others are members'. */
export type MemberTls = PeerTls & {
  readonly clientMaterial: () => CallingMaterial;
  readonly memberRules: () => MemberCertificateRules;
};

/**
 * `ownPeerUrls`: where this member is, as far as it knows.
 * @throws HaplanError `agent/certificate` naming a file that cannot be used.
 */
export function createPeerTls(files: TlsFiles, ownPeerUrls: () => readonly string[]): MemberTls {
  const judge = createCertificateJudge(files);
  const calling = renewed(files, () => clientMaterial(files));
  const own = parsedOnce(() => calling().cert);
  const rules = (): MemberCertificateRules => memberCertificateRules(files, own(), ownPeerUrls());
  return {
    memberRules: rules,
    requireClientCertificate: files.requireClientCertificate,
    material: renewed(files, () => servingMaterial(files)),
    clientMaterial: calling,
    identifiesMembers: () => rules().isForPeerUrls,
    rejectReasonAt: (socket, peerUrls) => refuseAtUrls(rules(), socket, peerUrls),
    rejectReason: async (socket) => {
      const certificate = files.checkCallerAddress ? socket.getPeerX509Certificate() : undefined;
      const address = certificate === undefined ? null : judgeCallerAddress(certificate, socket.remoteAddress);
      return judge(socket) ?? refuseNonMember(rules(), socket) ?? (await address);
    },
  };
}

/** The certificate of a PEM text, which is the same object until it is read again. */
function parsedOnce(read: () => string | Buffer): () => PeerCertificate {
  let pem: string | Buffer | null = null;
  let certificate: PeerCertificate;
  return () => {
    const now = read();
    if (now !== pem) {
      certificate = new X509Certificate(now).toLegacyObject();
      pem = now;
    }
    return certificate;
  };
}

/**
 * A new object exactly when a file has changed: the transport takes that as the sign to use it. While a certificate and
 * its key are being replaced, one after the other, they do not fit: until they do, what was read before is used.
 */
function renewed<Material extends TlsMaterial>(files: TlsFiles, read: () => Material): () => Material {
  let material = read();
  let version = tlsFilesVersion(files);
  return () => {
    const now = tlsFilesVersion(files);
    if (now !== version) {
      const next = readUsable(read);
      if (next !== null) {
        material = next;
        version = now;
      }
    }
    return material;
  };
}

/** Null when a file is missing or they do not fit each other. */
function readUsable<Material extends TlsMaterial>(read: () => Material): Material | null {
  try {
    const material = read();
    createSecureContext(material);
    return material;
  } catch {
    return null;
  }
}

function servingMaterial(files: TlsFiles): TlsMaterial {
  const { cert, key, ca } = readTlsMaterial(files);
  return { cert, key, ca: ca ?? rootCertificates.join("\n"), ...tlsProtocol(files) };
}

/** A certificate that signs itself can be checked by nobody (etcd's --peer-auto-tls does not try either). */
export function clientMaterial(files: TlsFiles): CallingMaterial {
  const { clientCertFile: certFile, clientKeyFile: keyFile, selfSigned } = files;
  return { ...servingMaterial({ ...files, certFile, keyFile }), rejectUnauthorized: selfSigned === null };
}
