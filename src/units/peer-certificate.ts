/** Members whose peers trust another authority than their clients have a second certificate. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";

const suffix = ".peer";

/** No master's name contains a dot, so no other certificate has this name. */
export function peerCertificateName(master: string): string {
  return `${master}${suffix}`;
}

export function ofPeers(certificate: string): boolean {
  return certificate.endsWith(suffix);
}

/** Reports whether a master that haplan creates uses a separate certificate for its peers. */
export function hasPeerCertificate({ controlPlane }: ClusterSpec, master: string): boolean {
  const { adopted } = controlPlane.tls;
  if (adopted === undefined) return false;
  const ready = adopted.certificates.find((certificate) => certificate.name === master);
  return ready === undefined ? adopted.peerCaFile !== null : ready.peerCertFile !== null;
}
