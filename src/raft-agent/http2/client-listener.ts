/**
 * The listening socket of a port that serves both HTTP/2 (gRPC) and HTTP/1.1 (gateway, health, metrics): with TLS the
 * protocol is chosen by ALPN, without TLS by the first bytes. HTTP/1.1 sockets are passed to an HTTP/1.1 server, for
 * example `(socket) => httpServer.emit("connection", socket)`.
 */
import { createServer, type Server, type Socket } from "node:net";
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from "node:tls";
import { systemClock } from "../../base/clock.ts";
import { closeOnceGone } from "../../base/close-once-gone.ts";
import { fullHandshakesOnly } from "../../base/full-handshakes.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { type ListenPlace, listenAt } from "../../base/listen-place.ts";
import { type RejectedConnection, rejectConnections } from "../../base/rejected-connection.ts";
import { stopListening } from "../../base/stop-listening.ts";
import { sniffProtocol } from "./protocol-sniffer.ts";

export type ListenerTls = {
  /** PEM. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Authorities that client certificates are verified against. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  /** Reject clients without a certificate from `ca`. */
  readonly requireClientCertificate?: boolean;
  /** The reason to reject a client's certificate although `ca` has signed it; null to accept it. */
  readonly rejectReason?: (socket: TLSSocket) => string | null;
} & Pick<SecureContextOptions, "ciphers" | "minVersion" | "maxVersion">;

/** Port 0 selects any free port. */
export type ClientListenerOptions = ListenPlace & {
  readonly tls?: ListenerTls;
  /** With `tls`: also serve clients without TLS on the same port. */
  readonly plain?: boolean;
  /** Receives every HTTP/2 socket; `clientCommonName` is that of the verified certificate. */
  onHttp2(socket: Socket, clientCommonName: string | undefined): void;
  /** Receives every HTTP/1.1 socket, with nothing read from it. Without it such sockets are closed. */
  onHttp1?(socket: Socket, clientCommonName: string | undefined): void;
  /** A client was rejected before it could send a request. */
  onRejected?(rejection: RejectedConnection): void;
  /** The time limit for the TLS handshake, and then for the first bytes. */
  readonly handshakeTimeoutMs?: number;
};

export type ClientListener = {
  /** 0 for a socket in the file system. */
  readonly port: number;
  readonly hasTls: boolean;
  /** Uses new certificates for future connections; existing connections keep theirs. */
  replaceTls(tls: ListenerTls): void;
  /** Connections that are in their TLS handshake, or have not sent anything yet. */
  readonly pendingCount: number;
  /** When the last connection was accepted, on the monotonic clock. */
  readonly lastAcceptedMs: number;
  /** Stops listening, but lets the connections that have not sent anything yet do so. */
  stop(): Promise<void>;
  /** Stops listening; dispatched connections stay open, those that have not sent anything yet are closed. */
  close(): Promise<void>;
};

/** @throws HaplanError `listen-failed` when the address cannot be bound, or the certificate and key do not match. */
export async function listenForClients(options: ClientListenerOptions): Promise<ClientListener> {
  const timeoutMs = options.handshakeTimeoutMs ?? 10_000;
  const { onHttp2, onHttp1 } = options;
  const pending: PendingSockets = new Set();
  const dispatch = (socket: Socket, protocol: string, commonName: string | undefined): void => {
    if (protocol === "h2") onHttp2(socket, commonName);
    else if (onHttp1 === undefined) socket.destroy();
    else onHttp1(socket, commonName);
  };
  const tlsServer = options.tls === undefined ? null : createTls(options.tls, timeoutMs, pending, dispatch);
  if (tlsServer !== null) {
    rejectConnections(tlsServer, { rejectReason: options.tls?.rejectReason, onRejected: options.onRejected });
  }
  const handshakeCount = tlsServer === null ? () => 0 : countHandshakes(tlsServer);
  const isTlsAlone = tlsServer !== null && options.plain !== true;
  const server = isTlsAlone ? tlsServer : createPlain(timeoutMs, pending, dispatch, tlsServer);
  let lastAcceptedMs = Number.NEGATIVE_INFINITY;
  server.on("connection", () => {
    lastAcceptedMs = systemClock.monotonicMs();
  });
  await listenAt(server, options);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    get pendingCount() {
      return pending.size + handshakeCount();
    },
    get lastAcceptedMs() {
      return lastAcceptedMs;
    },
    stop: () => stopListening(server),
    hasTls: tlsServer !== null,
    replaceTls: (tls) => replaceTls(tlsServer, tls),
    close: async () => {
      // The callback of `close` would wait for connections, which may outlive the port.
      server.close();
      for (const socket of pending) socket.destroy();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

type Dispatch = (socket: Socket, protocol: string, commonName: string | undefined) => void;
/** Sockets that have not been dispatched yet. */
type PendingSockets = Set<Socket>;

/** Passes clients that start with TLS to `tlsServer`, if there is one. */
function createPlain(
  timeoutMs: number,
  pending: PendingSockets,
  dispatch: Dispatch,
  tlsServer: TlsServer | null,
): Server {
  return createServer({ noDelay: true }, (socket) => {
    sniff(socket, timeoutMs, pending, (protocol) => {
      if (protocol === "tls" && tlsServer !== null) tlsServer.emit("connection", socket);
      else dispatch(socket, protocol, undefined);
    });
  });
}

function sniff(socket: Socket, timeoutMs: number, pending: PendingSockets, found: (protocol: string) => void): void {
  const forget = (): boolean => pending.delete(socket);
  pending.add(socket);
  socket.once("close", forget);
  sniffProtocol(socket, timeoutMs, (protocol) => {
    socket.off("close", forget);
    forget();
    found(protocol);
  });
}

function createTls(tls: ListenerTls, timeoutMs: number, pending: PendingSockets, dispatch: Dispatch): TlsServer {
  const server = createTlsServer({
    ...contextOptions(tls),
    // Without an explicit ALPN callback Node would admit clients with other protocols as "no ALPN".
    ALPNProtocols: ["h2", "http/1.1"],
    requestCert: tls.ca !== undefined,
    rejectUnauthorized: tls.requireClientCertificate ?? false,
    handshakeTimeout: timeoutMs,
    noDelay: true,
  });
  server.on("secureConnection", (socket) => {
    if (socket.destroyed) return;
    closeOnceGone(socket);
    const commonName = verifiedCommonName(socket);
    if (socket.alpnProtocol) dispatch(socket, socket.alpnProtocol, commonName);
    else sniff(socket, timeoutMs, pending, (protocol) => dispatch(socket, protocol, commonName));
  });
  return server;
}

/** Returns a function that reports the number of handshakes in progress. */
function countHandshakes(server: TlsServer): () => number {
  let count = 0;
  const ended = (): void => {
    count -= 1;
  };
  server.on("connection", () => {
    count += 1;
  });
  server.on("secureConnection", ended);
  server.on("tlsClientError", ended);
  return () => count;
}

function verifiedCommonName(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined;
  const subject: { CN?: string | string[] } | undefined = socket.getPeerCertificate().subject;
  const name = subject?.CN;
  // Of several names none is used as the user: programs differ in which one counts.
  return typeof name === "string" ? name : undefined;
}

function contextOptions({ ca, requireClientCertificate, rejectReason, ...tls }: ListenerTls): SecureContextOptions {
  const context = { minVersion: "TLSv1.2" as const, ...tls };
  if (ca === undefined) return context;
  return { ...context, ...fullHandshakesOnly, ca: typeof ca === "string" || Buffer.isBuffer(ca) ? [ca] : [...ca] };
}

function replaceTls(server: TlsServer | null, tls: ListenerTls): void {
  if (server === null) throw new HaplanError("listen-failed", "Cannot load certificates: the port has no TLS");
  try {
    // A throwaway context first: it rejects a mismatched key before the active context is touched.
    createSecureContext(contextOptions(tls));
    server.setSecureContext(contextOptions(tls));
  } catch (error) {
    throw new HaplanError("listen-failed", `Cannot load certificates: ${String(error)}`, { cause: error });
  }
}
