/**
 * Connections that a TLS port rejects, with the reasons in the words of Go's TLS as logged by etcd, because alerts
 * match these.
 */
import type { Socket } from "node:net";
import type { TLSSocket, Server as TlsServer } from "node:tls";
import { errorText } from "./haplan-error.ts";

export type RejectedConnection = {
  readonly remoteAddress: string;
  /** The server name that the client asked for, or empty. */
  readonly serverName: string;
  /** Names in the client's certificate; null without one. */
  readonly names: { readonly ipAddresses: readonly string[]; readonly dnsNames: readonly string[] } | null;
  readonly error: string;
  /** The client disconnected by itself, which needs no attention. */
  readonly isGone: boolean;
};

/** By the `code` of Node.js's error. */
const handshakeErrors: Readonly<Record<string, string>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "tls: client didn't provide a certificate",
  ERR_SSL_HTTP_REQUEST: "tls: first record does not look like a TLS handshake",
  ERR_SSL_WRONG_VERSION_NUMBER: "tls: first record does not look like a TLS handshake",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "tls: first record does not look like a TLS handshake",
  ERR_SSL_UNSUPPORTED_PROTOCOL: "tls: client offered only unsupported versions",
  ERR_SSL_NO_SHARED_CIPHER: "tls: no cipher suite supported by both client and server",
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "remote error: tls: unknown certificate authority",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "remote error: tls: bad certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "remote error: tls: expired certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "remote error: tls: unknown certificate",
  ERR_TLS_HANDSHAKE_TIMEOUT: "i/o timeout",
};

const expired = "x509: certificate has expired or is not yet valid";
const unknownAuthority = "x509: certificate signed by unknown authority";

/** By OpenSSL's name of the certificate error. */
const certificateErrors: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: expired,
  CERT_NOT_YET_VALID: expired,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  INVALID_PURPOSE: "x509: certificate specifies an incompatible key usage",
};

/** The error in the certificate of a client that is not `authorized`. */
export function certificateFault(socket: TLSSocket): string {
  // Typed as an Error, but OpenSSL's name of the error at run time.
  const name = String(socket.authorizationError);
  // A closed socket has no certificate any more.
  if (!socket.destroyed && socket.getPeerX509Certificate() === undefined) {
    return "tls: client didn't provide a certificate";
  }
  return `tls: failed to verify certificate: ${certificateErrors[name] ?? name}`;
}

/** A failed handshake. A closed socket has no address any more, so it is passed as `remoteAddress`. */
export function failedHandshake(socket: TLSSocket, error: unknown, remoteAddress: string): RejectedConnection {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  // Node.js closes the connection of a client whose certificate it rejects, and reports that it was closed.
  const isCertificate = code === "ECONNRESET" && Boolean(socket.authorizationError);
  const isGone = !isCertificate && ["ECONNRESET", "EPIPE", "ECONNABORTED"].includes(code);
  const found = isCertificate ? certificateFault(socket) : (handshakeErrors[code] ?? errorText(error));
  return describe(socket, isGone ? "EOF" : found, isGone, remoteAddress);
}

/** A client with a valid handshake that is rejected because of its certificate. */
export function rejectedClient(socket: TLSSocket | Socket, error: string): RejectedConnection {
  return describe(socket, error, false, addressOf(socket));
}

export function addressOf({ remoteAddress, remotePort }: Socket): string {
  if (remoteAddress === undefined) return "";
  return remoteAddress.includes(":") ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

/**
 * Returns a function that knows the remote address of a connection of `server` even after it was closed; TLS sockets
 * lose it.
 */
export function rememberAddresses(server: TlsServer): (socket: TLSSocket) => string {
  const addresses = new WeakMap<object, string>();
  server.prependListener("connection", (socket: Socket) => addresses.set(socket, addressOf(socket)));
  return (socket) => {
    const below: unknown = Reflect.get(socket, "_parent");
    const remembered = typeof below === "object" && below !== null ? addresses.get(below) : undefined;
    return remembered ?? addressOf(socket);
  };
}

export type RejectionOptions = {
  /** Why a client with a valid certificate is rejected; null if it is accepted. */
  readonly rejectReason?: ((socket: TLSSocket) => string | null) | undefined;
  readonly onRejected?: ((rejection: RejectedConnection) => void) | undefined;
};

/**
 * Closes and reports connections whose handshake fails, or that are rejected after it; call it before other listeners
 * are added.
 */
export function rejectConnections(server: TlsServer, { rejectReason, onRejected }: RejectionOptions): void {
  const remoteAddress = rememberAddresses(server);
  server.on("tlsClientError", (error, socket) => {
    onRejected?.(failedHandshake(socket, error, remoteAddress(socket)));
    socket.destroy();
  });
  server.prependListener("secureConnection", (socket) => {
    const why = rejectReason?.(socket) ?? null;
    if (why === null) return;
    onRejected?.(rejectedClient(socket, why));
    socket.destroy();
  });
}

function describe(socket: Socket, error: string, isGone: boolean, remoteAddress: string): RejectedConnection {
  const tls = "getPeerX509Certificate" in socket ? (socket as TLSSocket) : null;
  const name = tls !== null && "servername" in tls ? tls.servername : "";
  const serverName = typeof name === "string" ? name : "";
  return { remoteAddress, serverName, names: tls === null ? null : namesOf(tls), error, isGone };
}

function namesOf(socket: TLSSocket): RejectedConnection["names"] {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  const found = (certificate.subjectAltName ?? "").split(", ");
  const withType = (type: string): string[] =>
    found.filter((one) => one.startsWith(`${type}:`)).map((one) => one.slice(type.length + 1));
  return { ipAddresses: withType("IP Address"), dnsNames: withType("DNS") };
}
