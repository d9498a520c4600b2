/**
 * The peer port. A new connection is classified by its first byte: a peer's greeting is answered and the connection
 * passed on, an HTTP request goes to the HTTP server, anything else is closed.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import { closeOnceGone } from "../../base/close-once-gone.ts";
import { fullHandshakesOnly } from "../../base/full-handshakes.ts";
import { errorText } from "../../base/haplan-error.ts";
import type { ListenAddress } from "../../base/listen-place.ts";
import {
  certificateFault,
  failedHandshake,
  type RejectedConnection,
  rejectedClient,
  rememberAddresses,
} from "../../base/rejected-connection.ts";
import {
  checkHello,
  decodeHello,
  describeFirstBytes,
  encodeReply,
  explainRejection,
  firstHandshakeByte,
  HandshakeStatus,
  type Hello,
} from "./handshake.ts";
import type { Admission, PeerAdmission } from "./peer-admission.ts";
import type { PeerTls, TlsMaterial, TransportContext } from "./transport-types.ts";

export type ListenerParts = {
  readonly context: TransportContext;
  readonly isRemoved: (id: string) => boolean;
  readonly admission: PeerAdmission;
  /** A greeted connection of a member, whose `urls` are its own. `rest` are bytes that followed the greeting. */
  readonly onPeer: (socket: Socket, hello: Hello, rest: Uint8Array) => void;
};

/** The time limit for a rejected caller to read the response. */
const rejectionLingerMs = 1_000;

type Opening =
  | { readonly kind: "incomplete" }
  | { readonly kind: "http" }
  | { readonly kind: "unknown"; readonly why: string }
  | { readonly kind: "peer"; readonly hello: Hello; readonly length: number };

export class PeerListener {
  readonly #parts: ListenerParts;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #pendingConnections = 0;
  readonly #tlsServer: TlsServer | null;
  #material: TlsMaterial | null = null;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.#tlsServer = parts.context.options.tls === undefined ? null : this.#makeTlsServer();
  }

  /**
   * Listens and returns the address, with the assigned port when 0 was requested. With certificates configured, an
   * address may still be without TLS.
   */
  async listen({ host, port }: ListenAddress, withTls = true): Promise<ListenAddress> {
    const server = createServer((socket) => this.#accept(socket, withTls));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, resolve);
    });
    this.#servers.push(server);
    const bound = server.address();
    return { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
  }

  /** Stops listening and closes every inbound connection. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #makeTlsServer(): TlsServer {
    const { options, limits } = this.#parts.context;
    const tls = options.tls!;
    this.#material = tls.material();
    const server = createTlsServer({
      ...this.#material,
      ...fullHandshakesOnly,
      requestCert: tls.requireClientCertificate,
      // Certificates are verified below, so that a caller can be told what is wrong with its own.
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeTimeoutMs,
    });
    const remoteAddress = rememberAddresses(server);
    server.on("secureConnection", (socket) => void this.#admit(socket));
    server.on("tlsClientError", (error, socket: TLSSocket) => {
      this.#reportRejected(failedHandshake(socket, error, remoteAddress(socket)));
      socket.destroy();
    });
    return server;
  }

  /** Verifying a certificate may need name server lookups: until then the connection counts as pending. */
  async #admit(socket: TLSSocket): Promise<void> {
    const { options, limits } = this.#parts.context;
    const tls = options.tls!;
    const { handshakeTimeoutMs } = limits;
    const timer = setTimeout(() => {
      this.#reportRejected(
        rejectedClient(socket, `its certificate could not be verified within ${handshakeTimeoutMs} ms`),
      );
      socket.destroy();
    }, handshakeTimeoutMs);
    socket.on("error", () => {}); // The close follows and is what counts.
    this.#pendingConnections++;
    const isUnauthorized = tls.requireClientCertificate && !socket.authorized;
    const rejection = isUnauthorized ? certificateFault(socket) : await verifyCertificate(socket, tls);
    this.#pendingConnections--;
    clearTimeout(timer);
    if (socket.destroyed) return;
    if (rejection !== null) {
      this.#rejectUnread(socket, rejection);
      return;
    }
    closeOnceGone(socket);
    this.#sniff(socket);
  }

  /** Reads nothing from the caller, but tells a member why it is rejected. */
  #rejectUnread(socket: TLSSocket, reason: string): void {
    this.#reportRejected(rejectedClient(socket, reason));
    this.#pendingConnections++;
    const timer = setTimeout(() => socket.destroy(), rejectionLingerMs);
    socket.once("close", () => {
      clearTimeout(timer);
      this.#pendingConnections--;
    });
    socket.once("data", (bytes: Buffer) => {
      if (bytes[0] !== firstHandshakeByte) socket.destroy();
      else socket.end(this.#rejectionReply(HandshakeStatus.notPermitted, reason));
    });
    socket.on("data", () => {}); // Unread bytes would make the close a reset, which may overtake the reply.
  }

  #rejectionReply(status: HandshakeStatus, reason: string): Uint8Array {
    const { self: member, clusterId } = this.#parts.context.options;
    return encodeReply({ status, clusterId, member, reason }, this.#parts.context.versions());
  }

  #reportRejected(rejection: RejectedConnection): void {
    this.#parts.context.options.handlers.onRejected?.(rejection);
  }

  #accept(socket: Socket, withTls: boolean): void {
    if (this.#pendingConnections >= this.#parts.context.limits.pendingConnectionsMax) return void socket.destroy();
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // The close follows and is what counts.
    if (this.#tlsServer === null || !withTls) {
      this.#sniff(socket);
      return;
    }
    const material = this.#parts.context.options.tls!.material();
    if (material !== this.#material) {
      this.#tlsServer.setSecureContext({ ...material, ...fullHandshakesOnly });
      this.#material = material;
    }
    this.#tlsServer.emit("connection", socket);
  }

  /** Collects the first bytes until the kind of the connection is known. */
  #sniff(socket: Socket): void {
    const { limits } = this.#parts.context;
    let received: Buffer = Buffer.alloc(0);
    this.#pendingConnections++;
    const stop = (): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("close", stop);
      this.#pendingConnections--;
    };
    const reject = (why: string): void => {
      stop();
      this.#reportRejected(rejectedClient(socket, why));
      socket.destroy();
    };
    const onData = (bytes: Buffer): void => {
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
      const opening = this.#recognize(received);
      if (opening.kind === "incomplete") return;
      if (opening.kind === "unknown") {
        reject(opening.why);
        return;
      }
      stop();
      socket.pause();
      if (opening.kind === "http") this.#handToHttp(socket, received);
      else void this.#answer(socket, opening.hello, received.subarray(opening.length));
    };
    const timer = setTimeout(
      () => reject(`it did not greet within ${limits.handshakeTimeoutMs} ms`),
      limits.handshakeTimeoutMs,
    );
    socket.on("error", () => {});
    socket.on("close", stop);
    socket.on("data", onData);
  }

  #recognize(received: Uint8Array): Opening {
    const first = received[0]!;
    const isHttp = this.#parts.context.options.httpServer !== undefined && first >= 0x41 && first <= 0x5a;
    if (isHttp) return { kind: "http" };
    if (first !== firstHandshakeByte) {
      return {
        kind: "unknown",
        why: `it starts with ${describeFirstBytes(received)}, which is neither a peer's greeting nor HTTP`,
      };
    }
    try {
      const found = decodeHello(received);
      return found === null ? { kind: "incomplete" } : { kind: "peer", ...found };
    } catch (error) {
      return { kind: "unknown", why: `it sent ${errorText(error)}` };
    }
  }

  #handToHttp(socket: Socket, received: Uint8Array): void {
    const { httpServer, nonMemberHttpServer } = this.#parts.context.options;
    const rejection = this.#parts.admission.httpRejection(socket);
    if (rejection !== null) this.#reportRejected(rejectedClient(socket, `rejected a request over HTTP: ${rejection}`));
    const server = rejection === null ? httpServer : nonMemberHttpServer?.();
    if (server === undefined) {
      socket.destroy();
      return;
    }
    socket.unshift(received);
    server.emit("connection", socket);
    process.nextTick(() => socket.resume());
  }

  async #answer(socket: Socket, hello: Hello, rest: Uint8Array): Promise<void> {
    const { self, clusterId, hasReplaced } = this.#parts.context.options;
    const versions = this.#parts.context.versions();
    const own = { self, clusterId, isRemoved: this.#parts.isRemoved, versions };
    const status = checkHello(hello, hasReplaced === undefined ? own : { ...own, hasReplaced });
    if (status !== HandshakeStatus.accepted) {
      this.#reject(socket, status, explainRejection(status, hello, { versions, clusterId, member: self }));
      return;
    }
    const admission = await this.#admitted(socket, hello);
    if (socket.destroyed) return;
    // The member may have been removed during the lookup.
    if (admission.rejection !== null || this.#parts.isRemoved(hello.from)) {
      this.#reject(socket, HandshakeStatus.notPermitted, admission.rejection ?? "it has been removed from the cluster");
      return;
    }
    socket.write(encodeReply({ status, clusterId, member: self }, versions));
    this.#parts.onPeer(socket, { ...hello, urls: admission.urls }, rest);
  }

  /** While other members are queried, the caller counts among the pending connections. */
  async #admitted(socket: Socket, hello: Hello): Promise<Admission> {
    this.#pendingConnections++;
    try {
      return await this.#parts.admission.admit(socket, hello);
    } catch (error) {
      return { rejection: errorText(error) };
    } finally {
      this.#pendingConnections--;
    }
  }

  #reject(socket: Socket, status: HandshakeStatus, reason: string): void {
    this.#reportRejected(rejectedClient(socket, reason));
    socket.end(this.#rejectionReply(status, reason));
    socket.resume();
    setTimeout(() => socket.destroy(), rejectionLingerMs).unref();
  }
}

/** A certificate that cannot be verified is rejected. */
async function verifyCertificate(socket: TLSSocket, { rejectReason }: PeerTls): Promise<string | null> {
  try {
    return (await rejectReason?.(socket)) ?? null;
  } catch (error) {
    return errorText(error);
  }
}
