/** Members whose peers trust another authority than their clients do carry a second certificate. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";

const suffix = ".peer";

/** A dot is in no master's name, so that no other certificate is called so. */
export function peerCertificateName(master: string): string {
  return `${master}${suffix}`;
}

export function ofPeers(certificate: string): boolean {
  return certificate.endsWith(suffix);
}

/** Whether a master that haplan makes shows its peers another certificate than its clients. */
export function hasPeerCertificate({ controlPlane }: ClusterSpec, master: string): boolean {
  const { adopted } = controlPlane.tls;
  if (adopted === undefined) return false;
  const ready = adopted.certificates.find((certificate) => certificate.name === master);
  return ready === undefined ? adopted.peerCaFile !== null : ready.peerCertFile !== null;
}
