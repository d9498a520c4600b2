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
  decodeHello,
  describeFirstBytes,
  encodeReply,
  explainRefusal,
  firstHandshakeByte,
  HandshakeStatus,
  type Hello,
  judgeHello,
  protocolVersion,
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

type Opening =
  | { readonly kind: "incomplete" }
  | { readonly kind: "http" }
  | { readonly kind: "unknown"; readonly why: string }
  | { readonly kind: "peer"; readonly hello: Hello; readonly length: number };

export class PeerListener {
  private readonly parts: ListenerParts;
  private readonly servers: Server[] = [];
  private readonly sockets = new Set<Socket>();
  private strangers = 0;
  private readonly tlsServer: TlsServer | null;
  private material: TlsMaterial | null = null;

  constructor(parts: ListenerParts) {
    this.parts = parts;
    this.tlsServer = parts.context.options.tls === undefined ? null : this.makeTlsServer();
  }

  /**
   * Listens and returns the address, with the port that was given when 0 was asked for. Where there are certificates,
   * an address may still do without.
   */
  async listen({ host, port }: ListenAddress, withTls = true): Promise<ListenAddress> {
    const server = createServer((socket) => this.accept(socket, withTls));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, resolve);
    });
    this.servers.push(server);
    const bound = server.address();
    return { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
  }

  /** Stops listening and closes every connection that came in. */
  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await Promise.all(this.servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  private makeTlsServer(): TlsServer {
    const { options, limits, log } = this.parts.context;
    const tls = options.tls!;
    this.material = tls.material();
    const server = createTlsServer({
      ...this.material,
      ...fullHandshakesOnly,
      requestCert: tls.requireClientCertificate,
      rejectUnauthorized: tls.requireClientCertificate,
      handshakeTimeout: limits.handshakeTimeoutMs,
    });
    server.on("secureConnection", (socket) => void this.admit(socket));
    server.on("tlsClientError", (error, socket: TLSSocket) => {
      log("warn", `refused a connection from ${socket.remoteAddress}: ${errorText(error)}`);
      socket.destroy();
    });
    return server;
  }

  /** Judging a certificate may take questions to a name server: until then the caller is a stranger. */
  private async admit(socket: TLSSocket): Promise<void> {
    const { options, limits, log } = this.parts.context;
    const refuse = (why: string): void => {
      log("warn", `refused a connection from ${socket.remoteAddress}: ${why}`);
      socket.destroy();
    };
    const { handshakeTimeoutMs } = limits;
    const timer = setTimeout(
      () => refuse(`its certificate could not be judged within ${handshakeTimeoutMs} ms`),
      handshakeTimeoutMs,
    );
    socket.on("error", () => {}); // Its close follows and is what counts.
    this.strangers++;
    const refusal = await judge(socket, options.tls!);
    this.strangers--;
    clearTimeout(timer);
    if (socket.destroyed) return;
    if (refusal !== null) {
      refuse(refusal);
      return;
    }
    closeOnceGone(socket);
    this.sniff(socket);
  }

  private accept(socket: Socket, withTls: boolean): void {
    if (this.strangers >= this.parts.context.limits.strangersMax) return void socket.destroy();
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => {}); // Its close follows and is what counts.
    if (this.tlsServer === null || !withTls) {
      this.sniff(socket);
      return;
    }
    const material = this.parts.context.options.tls!.material();
    if (material !== this.material) {
      this.tlsServer.setSecureContext({ ...material, ...fullHandshakesOnly });
      this.material = material;
    }
    this.tlsServer.emit("connection", socket);
  }

  /** Collects the first bytes until they say what the connection is for. */
  private sniff(socket: Socket): void {
    const { log, limits } = this.parts.context;
    const address = socket.remoteAddress ?? "an unknown address";
    let received: Buffer = Buffer.alloc(0);
    this.strangers++;
    const stop = (): void => {
      clearTimeout(timer);
      socket.off("data", onData).off("close", stop);
      this.strangers--;
    };
    const refuse = (why: string): void => {
      stop();
      log("warn", `closed a connection from ${address}: ${why}`);
      socket.destroy();
    };
    const onData = (bytes: Buffer): void => {
      received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
      const opening = this.recognize(received);
      if (opening.kind === "incomplete") return;
      if (opening.kind === "unknown") {
        refuse(opening.why);
        return;
      }
      stop();
      socket.pause();
      if (opening.kind === "http") this.handToHttp(socket, received);
      else void this.answer(socket, opening.hello, received.subarray(opening.length));
    };
    const timer = setTimeout(
      () => refuse(`it did not greet within ${limits.handshakeTimeoutMs} ms`),
      limits.handshakeTimeoutMs,
    );
    socket.on("error", () => {});
    socket.on("close", stop);
    socket.on("data", onData);
  }

  private recognize(received: Uint8Array): Opening {
    const first = received[0]!;
    const isHttp = this.parts.context.options.httpServer !== undefined && first >= 0x41 && first <= 0x5a;
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

  private handToHttp(socket: Socket, received: Uint8Array): void {
    const refusal = this.parts.admission.refuseHttp(socket);
    if (refusal !== null) {
      this.parts.context.log("warn", `refused a request over HTTP from ${socket.remoteAddress}: ${refusal}`);
      socket.destroy();
      return;
    }
    socket.unshift(received);
    this.parts.context.options.httpServer!.emit("connection", socket);
    process.nextTick(() => socket.resume());
  }

  private async answer(socket: Socket, hello: Hello, rest: Uint8Array): Promise<void> {
    const { self, clusterId } = this.parts.context.options;
    const status = judgeHello(hello, { self, clusterId, isRemoved: this.parts.isRemoved });
    if (status !== HandshakeStatus.accepted) {
      this.turnAway(
        socket,
        status,
        explainRefusal(status, hello, { version: protocolVersion, clusterId, member: self }),
      );
      return;
    }
    const admission = await this.admitted(socket, hello);
    if (socket.destroyed) return;
    // The member may have been removed while it was asked for.
    if (admission.refusal !== null || this.parts.isRemoved(hello.from)) {
      this.turnAway(socket, HandshakeStatus.notPermitted, admission.refusal ?? "it has been removed from the cluster");
      return;
    }
    socket.write(encodeReply({ status, clusterId, member: self }));
    this.parts.onPeer(socket, { ...hello, urls: admission.urls }, rest);
  }

  /** While other members are asked, the caller counts among the connections that have not greeted. */
  private async admitted(socket: Socket, hello: Hello): Promise<Admission> {
    this.strangers++;
    try {
      return await this.parts.admission.admit(socket, hello);
    } catch (error) {
      return { refusal: errorText(error) };
    } finally {
      this.strangers--;
    }
  }

  private turnAway(socket: Socket, status: HandshakeStatus, reason: string): void {
    const { options, log } = this.parts.context;
    log("warn", `refused a connection from ${socket.remoteAddress}: ${reason}`);
    socket.end(encodeReply({ status, clusterId: options.clusterId, member: options.self }));
    socket.resume();
    setTimeout(() => socket.destroy(), 1_000).unref();
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
