/**
 * Determines which certificates of the peer port's authority belong to members. One authority often signs client
 * certificates as well, so its signature is not enough. The rules are derived from this member's own client
 * certificate for peers, since members are configured alike: a certificate that is also valid for servers, unlike any
 * client's, and that covers the member's own peer URLs.
 */
import { checkServerIdentity, type PeerCertificate, type TLSSocket } from "node:tls";
import { listenAddress } from "../../../base/listen-place.ts";
import type { TlsFiles } from "../../config/tls-settings.ts";

const serverAuth = "1.3.6.1.5.5.7.3.1";
const anyExtendedKeyUsage = "2.5.29.37.0";

export type MemberCertificateRules = {
  /** A member's certificate is valid for servers: it has the extended key usage serverAuth, or any usage. */
  readonly serves: boolean;
  /** A member's certificate covers the host of one of its peer URLs. */
  readonly isForPeerUrls: boolean;
};

/** `own`: the certificate with which this member dials its peers. */
export function memberCertificateRules(
  files: TlsFiles,
  own: PeerCertificate,
  ownPeerUrls: readonly string[],
): MemberCertificateRules {
  if (!files.requireClientCertificate) return { serves: false, isForPeerUrls: false };
  return {
    serves: !namesMembers(files) && mayServe(own),
    isForPeerUrls: files.checkCallerAddress && isForOneOf(own, ownPeerUrls),
  };
}

/** Why these rules admit clients; null when they do not. For the log. */
export function describeOpenRules(files: TlsFiles, rules: MemberCertificateRules): string | null {
  if (!files.requireClientCertificate) return null;
  const { clientCertFile } = files;
  if (!rules.serves && !namesMembers(files)) {
    return (
      `any certificate of ${files.trustedCaFile} is accepted as a member's, since this member's own, ${clientCertFile}, is a ` +
      "client's too: list the members with --peer-cert-allowed-cn or --peer-cert-allowed-hostname, or use a separate authority for them"
    );
  }
  if (rules.isForPeerUrls || !files.checkCallerAddress) return null;
  return (
    `a member may impersonate any other one, since certificates do not identify members: ${clientCertFile} ` +
    "covers no host of this member's peer URLs"
  );
}

/** Why the caller is not a member, whichever it claims to be; null when it may be one. */
export function nonMemberRejection(rules: MemberCertificateRules, socket: TLSSocket): string | null {
  const certificate = socket.getPeerCertificate();
  if (!rules.serves || mayServe(certificate)) return null;
  return `its certificate, for ${subjectOf(certificate)}, is a client's: a member's also has the extended key usage serverAuth`;
}

/** Why the caller is not the member at `peerUrls`; null when it may be. */
export function rejectionAtUrls(
  rules: MemberCertificateRules,
  socket: TLSSocket,
  peerUrls: readonly string[],
): string | null {
  const certificate = socket.getPeerCertificate();
  if (!rules.isForPeerUrls || isForOneOf(certificate, peerUrls)) return null;
  const names = certificate.subjectaltname ?? subjectOf(certificate);
  return `its certificate is for ${names}, and not for ${[...new Set(peerUrls.map(hostOf))].join(" or ")}`;
}

/**
 * Whether the flags name the members' certificates, so that no other rule is needed to distinguish them from clients'.
 */
function namesMembers({ allowedCommonNames, allowedHostnames }: TlsFiles): boolean {
  return allowedCommonNames.length > 0 || allowedHostnames.length > 0;
}

function mayServe({ ext_key_usage: usages }: Pick<PeerCertificate, "ext_key_usage">): boolean {
  return usages === undefined || usages.includes(serverAuth) || usages.includes(anyExtendedKeyUsage);
}

function isForOneOf(certificate: PeerCertificate, peerUrls: readonly string[]): boolean {
  return peerUrls.some((url) => checkServerIdentity(hostOf(url), certificate) === undefined);
}

function hostOf(peerUrl: string): string {
  return URL.canParse(peerUrl) ? listenAddress(new URL(peerUrl)).host : peerUrl;
}

function subjectOf({ subject }: PeerCertificate): string {
  const name: string | string[] | undefined = subject?.CN;
  return name === undefined ? "no name" : `"${[name].flat().join()}"`;
}
