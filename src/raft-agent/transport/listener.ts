/**
 * The peer port. A new connection is told by its first byte: a peer's greeting is answered and handed on, an HTTP
 * request goes to the HTTP server, anything else is closed.
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
  decodeHello,
  describeFirstBytes,
  encodeReply,
  explainRefusal,
  firstHandshakeByte,
  HandshakeStatus,
  type Hello,
  judgeHello,
} from "./handshake.ts";
import type { Admission, PeerAdmission } from "./peer-admission.ts";
import type { PeerTls, TlsMaterial, TransportContext } from "./transport-types.ts";

export type ListenerParts = {
  readonly context: TransportContext;
  readonly isRemoved: (id: string) => boolean;
  readonly admission: PeerAdmission;
  /** A greeted connection of a member, whose `urls` are its own. `rest` are bytes that came behind the greeting. */
  readonly onPeer: (socket: Socket, hello: Hello, rest: Uint8Array) => void;
};

/** How long a caller that is refused has to take the answer. */
const refusedLingerMs = 1_000;

type Opening =
  | { readonly kind: "incomplete" }
  | { readonly kind: "http" }
  | { readonly kind: "unknown"; readonly why: string }
  | { readonly kind: "peer"; readonly hello: Hello; readonly length: number };

export class PeerListener {
  readonly #parts: ListenerParts;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #strangers = 0;
  readonly #tlsServer: TlsServer | null;
  #material: TlsMaterial | null = null;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.#tlsServer = parts.context.options.tls === undefined ? null : this.#makeTlsServer();
  }

  /**
   * Listens and returns the address, with the port that was given when 0 was asked for. Where there are certificates,
   * an address may still do without.
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

  /** Stops listening and closes every connection that came in. */
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
      // Certificates are judged below, so that a caller can be told what is wrong with its own.
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeTimeoutMs,
    });
    const remoteAddress = rememberAddresses(server);
    server.on("secureConnection", (socket) => void this.#admit(socket));
    server.on("tlsClientError", (error, socket: TLSSocket) => {
      this.#tellRejected(failedHandshake(socket, error, remoteAddress(socket)));
      socket.destroy();
    });
    return server;
  }

  /** Judging a certificate may take questions to a name server: until then the caller is a stranger. */
  async #admit(socket: TLSSocket): Promise<void> {
    const { options, limits } = this.#parts.context;
    const tls = options.tls!;
    const { handshakeTimeoutMs } = limits;
    const timer = setTimeout(() => {
      this.#tellRejected(rejectedClient(socket, `its certificate could not be judged within ${handshakeTimeoutMs} ms`));
      socket.destroy();
    }, handshakeTimeoutMs);
    socket.on("error", () => {}); // Its close follows and is what counts.
    this.#strangers++;
    const isUnauthorized = tls.requireClientCertificate && !socket.authorized;
    const refusal = isUnauthorized ? certificateFault(socket) : await judge(socket, tls);
    this.#strangers--;
    clearTimeout(timer);
    if (socket.destroyed) return;
    if (refusal !== null) {
      this.#refuseUnheard(socket, refusal);
      return;
    }
    closeOnceGone(socket);
    this.#sniff(socket);
  }

  /** Takes nothing of what the caller says, but tells a member why it is refused. */
  #refuseUnheard(socket: TLSSocket, reason: string): void {
    this.#tellRejected(rejectedClient(socket, reason));
    this.#strangers++;
    const timer = setTimeout(() => socket.destroy(), refusedLingerMs);
    socket.once("close", () => {
      clearTimeout(timer);
      this.#strangers--;
    });
    socket.once("data", (bytes: Buffer) => {
      if (bytes[0] !== firstHandshakeByte) socket.destroy();
      else socket.end(this.#refusalReply(HandshakeStatus.notPermitted, reason));
    });
    socket.on("data", () => {}); // Unread bytes would make the close a reset, which may overtake the reply.
  }

  #refusalReply(status: HandshakeStatus, reason: string): Uint8Array {
    const { self: member, clusterId } = this.#parts.context.options;
    return encodeReply({ status, clusterId, member, reason }, this.#parts.context.versions());
  }

  #tellRejected(rejection: RejectedConnection): void {
    this.#parts.context.options.handlers.onRejected?.(rejection);
  }

  #accept(socket: Socket, withTls: boolean): void {
    if (this.#strangers >= this.#parts.context.limits.strangersMax) return void socket.destroy();
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // Its close follows and is what counts.
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

  /** Collects the first bytes until they say what the connection is for. */
  #sniff(socket: Socket): void {
    const { limits } = this.#parts.context;
    let received: Buffer = Buffer.alloc(0);
    this.#strangers++;
    const stop = (): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("close", stop);
      this.#strangers--;
    };
    const refuse = (why: string): void => {
      stop();
      this.#tellRejected(rejectedClient(socket, why));
      socket.destroy();
    };
    const onData = (bytes: Buffer): void => {
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
      const opening = this.#recognize(received);
      if (opening.kind === "incomplete") return;
      if (opening.kind === "unknown") {
        refuse(opening.why);
        return;
      }
      stop();
      socket.pause();
      if (opening.kind === "http") this.#handToHttp(socket, received);
      else void this.#answer(socket, opening.hello, received.subarray(opening.length));
    };
    const timer = setTimeout(
      () => refuse(`it did not greet within ${limits.handshakeTimeoutMs} ms`),
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
        why: `it begins with ${describeFirstBytes(received)}, which is neither a peer's greeting nor HTTP`,
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
    const refusal = this.#parts.admission.refuseHttp(socket);
    if (refusal !== null) {
      this.#tellRejected(rejectedClient(socket, `refused a request over HTTP: ${refusal}`));
      socket.destroy();
      return;
    }
    socket.unshift(received);
    this.#parts.context.options.httpServer!.emit("connection", socket);
    process.nextTick(() => socket.resume());
  }

  async #answer(socket: Socket, hello: Hello, rest: Uint8Array): Promise<void> {
    const { self, clusterId } = this.#parts.context.options;
    const versions = this.#parts.context.versions();
    const status = judgeHello(hello, { self, clusterId, isRemoved: this.#parts.isRemoved, versions });
    if (status !== HandshakeStatus.accepted) {
      this.#turnAway(socket, status, explainRefusal(status, hello, { versions, clusterId, member: self }));
      return;
    }
    const admission = await this.#admitted(socket, hello);
    if (socket.destroyed) return;
    // The member may have been removed while it was asked for.
    if (admission.refusal !== null || this.#parts.isRemoved(hello.from)) {
      this.#turnAway(socket, HandshakeStatus.notPermitted, admission.refusal ?? "it has been removed from the cluster");
      return;
    }
    socket.write(encodeReply({ status, clusterId, member: self }, versions));
    this.#parts.onPeer(socket, { ...hello, urls: admission.urls }, rest);
  }

  /** While other members are asked, the caller counts among the connections that have not greeted. */
  async #admitted(socket: Socket, hello: Hello): Promise<Admission> {
    this.#strangers++;
    try {
      return await this.#parts.admission.admit(socket, hello);
    } catch (error) {
      return { refusal: errorText(error) };
    } finally {
      this.#strangers--;
    }
  }

  #turnAway(socket: Socket, status: HandshakeStatus, reason: string): void {
    this.#tellRejected(rejectedClient(socket, reason));
    socket.end(this.#refusalReply(status, reason));
    socket.resume();
    setTimeout(() => socket.destroy(), refusedLingerMs).unref();
  }
}

/** Who cannot be judged does not come in. */
async function judge(socket: TLSSocket, { refuse }: PeerTls): Promise<string | null> {
  try {
    return (await refuse?.(socket)) ?? null;
  } catch (error) {
    return errorText(error);
  }
}
