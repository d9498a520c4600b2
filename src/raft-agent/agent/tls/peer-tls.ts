/** The peer port's certificates in the form required by the transport: reread whenever a file has changed. */
import { X509Certificate } from "node:crypto";
import { createSecureContext, type PeerCertificate, rootCertificates } from "node:tls";
import type { TlsFiles } from "../../config/tls-settings.ts";
import type { PeerTls, TlsMaterial } from "../../transport/transport-types.ts";
import { verifyPeerAddress } from "./caller-address.ts";
import { createCertificateVerifier } from "./certificate-verifier.ts";
import {
  type MemberCertificateRules,
  memberCertificateRules,
  nonMemberRejection,
  rejectionAtUrls,
} from "./member-certificate.ts";
import { readTlsMaterial, tlsFilesVersion, tlsProtocol } from "./tls-material.ts";

export type ClientMaterial = TlsMaterial & { readonly rejectUnauthorized: boolean };

/** Its own certificate determines which others are members'. */
export type MemberTls = PeerTls & {
  readonly clientMaterial: () => ClientMaterial;
  readonly memberRules: () => MemberCertificateRules;
};

/**
 * `ownPeerUrls`: the known peer URLs of this member. @throws HaplanError `agent/certificate` naming a file that cannot
 * be used.
 */
export function createPeerTls(files: TlsFiles, ownPeerUrls: () => readonly string[]): MemberTls {
  const verify = createCertificateVerifier(files);
  const client = renewed(files, () => clientMaterial(files));
  const own = parsedOnce(() => client().cert);
  const rules = (): MemberCertificateRules => memberCertificateRules(files, own(), ownPeerUrls());
  return {
    memberRules: rules,
    requireClientCertificate: files.requireClientCertificate,
    material: renewed(files, () => servingMaterial(files)),
    clientMaterial: client,
    identifiesMembers: () => rules().isForPeerUrls,
    rejectReasonAt: (socket, peerUrls) => rejectionAtUrls(rules(), socket, peerUrls),
    rejectReason: async (socket) => {
      const certificate = files.checkCallerAddress ? socket.getPeerX509Certificate() : undefined;
      const address = certificate === undefined ? null : verifyPeerAddress(certificate, socket.remoteAddress);
      return verify(socket) ?? nonMemberRejection(rules(), socket) ?? (await address);
    },
  };
}

/** The certificate of a PEM text; the same object until it is reread. */
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
 * A new object exactly when a file has changed, which makes the transport use it. While a certificate and its key are
 * being replaced, one after the other, they do not match: until they do, the previous ones are used.
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

/** Null when a file is missing or they do not match. */
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

/** A self-signed certificate cannot be verified (etcd's --peer-auto-tls does not try either). */
export function clientMaterial(files: TlsFiles): ClientMaterial {
  const { clientCertFile: certFile, clientKeyFile: keyFile, selfSigned } = files;
  return { ...servingMaterial({ ...files, certFile, keyFile }), rejectUnauthorized: selfSigned === null };
}
