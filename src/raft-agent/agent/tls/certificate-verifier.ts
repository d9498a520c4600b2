/**
 * Verifies that a certificate signed by the authority is accepted: it must not be revoked, and must have one of the
 * allowed names (etcd client/pkg/transport: listener.go, listener_tls.go).
 */
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { errorText } from "../../../base/haplan-error.ts";
import { revokedSerialNumbers } from "../../../x509/revocation-list.ts";
import type { TlsFiles } from "../../config/tls-settings.ts";
import { readPem } from "./tls-material.ts";

/** Null, or the reason to reject the other side of the connection. */
export type CertificateVerifier = (socket: TLSSocket) => string | null;

/** @throws HaplanError naming the revocation list when it cannot be read. */
export function createCertificateVerifier(files: TlsFiles): CertificateVerifier {
  const { crlFile, allowedCommonNames, allowedHostnames } = files;
  if (crlFile !== null) revokedSerialNumbers(readPem(crlFile), crlFile);
  const isFree = crlFile === null && allowedCommonNames.length === 0 && allowedHostnames.length === 0;
  return (socket) => {
    if (isFree) return null;
    const leaf = socket.getPeerCertificate(true);
    return findRevoked(leaf, crlFile) ?? verifyNames(leaf, files);
  };
}

/** The list is read for every connection, as in etcd; an unreadable one rejects every caller. */
function findRevoked(leaf: DetailedPeerCertificate, crlFile: string | null): string | null {
  if (crlFile === null) return null;
  try {
    const revoked = revokedSerialNumbers(readPem(crlFile), crlFile);
    const found = chainOf(leaf).find(({ serialNumber }) => revoked.has(normalSerial(serialNumber)));
    return found === undefined ? null : `its certificate ${found.serialNumber} is revoked`;
  } catch (error) {
    return errorText(error);
  }
}

function chainOf(leaf: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = [];
  for (let at: DetailedPeerCertificate | undefined = leaf; at?.serialNumber !== undefined; at = at.issuerCertificate) {
    if (chain.includes(at)) break;
    chain.push(at);
  }
  return chain;
}

function normalSerial(hex: string): string {
  return BigInt(`0x${hex}`).toString(16);
}

function verifyNames(leaf: DetailedPeerCertificate, { allowedCommonNames, allowedHostnames }: TlsFiles): string | null {
  const name: string | string[] | undefined = leaf.subject?.CN;
  const names = Array.isArray(name) ? name : [name ?? ""];
  if (allowedCommonNames.length > 0 && !names.some((one) => allowedCommonNames.includes(one))) {
    return `its certificate is for "${names.join()}", but ${allowedCommonNames.join(" or ")} is required`;
  }
  if (allowedHostnames.length === 0) return null;
  const isFor = (host: string): boolean => leaf.subject !== undefined && checkServerIdentity(host, leaf) === undefined;
  return allowedHostnames.some(isFor) ? null : `its certificate is not for ${allowedHostnames.join(" or ")}`;
}
