/**
 * The member's client listeners: gRPC and HTTP (gateway, health, metrics) on every client URL, unless HTTP has
 * separate URLs; only metrics and health on every metrics URL; only health, for every caller, on every health URL.
 */
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer, Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import type { Logger } from "pino";
import { systemClock } from "../../../base/clock.ts";
import { closeOnceGone } from "../../../base/close-once-gone.ts";
import { fullHandshakesOnly } from "../../../base/full-handshakes.ts";
import { isTlsUrl, listenAt, listenPlace, urlsByPlace } from "../../../base/listen-place.ts";
import { rejectConnections } from "../../../base/rejected-connection.ts";
import { stopListening } from "../../../base/stop-listening.ts";
import type { AgentConfig } from "../../config/agent-config.ts";
import type { TlsFiles } from "../../config/tls-settings.ts";
import { createDetachedServer } from "../../gateway/detached-http-server.ts";
import { createHttpHandler } from "../../gateway/http-handler.ts";
import { endStalledPipelines } from "../../gateway/pipeline-watchdog.ts";
import { serveWebSockets } from "../../gateway/websocket.ts";
import type { GrpcServer } from "../../grpc/grpc-server.ts";
import { type ClientListener, type ListenerTls, listenForClients } from "../../http2/client-listener.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import type { MemberServices } from "../../services/member-services.ts";
import { RejectionLog } from "../rejection-log.ts";
import { createCertificateVerifier } from "../tls/certificate-verifier.ts";
import { readTlsMaterial, tlsFilesVersion, tlsProtocol } from "../tls/tls-material.ts";
import { HttpClients } from "./http-clients.ts";
import { ServingGate } from "./serving-gate.ts";

/** The time limit for unfinished calls before the listeners are closed. */
const shutdownGraceMs = 1_000;
/** The time limit for a drained client to disconnect, as long as it has no call in flight. */
const leaveMs = 1_000;
/** The time limit for calls in flight while the member is stopping. */
const callsMs = 5_000;
const pollMs = 5;
/** A load balancer that knows that the member is stopping may have connected a client a moment before. */
const lateConnectionMs = 100;
/** How long clients are drained when the member is not stopped after all. */
const welcomeAfterMs = 30_000;
/**
 * A watch through the gateway is a long-lived request; slow headers are still cut off. Clients that return every ten
 * seconds or every minute find their connection open, as in etcd: Node would close it after five seconds, possibly
 * just when the next request is in flight.
 */
const httpOptions = { requestTimeout: 0, keepAliveTimeout: 600_000 };

export type ClientListenersOptions = {
  readonly config: AgentConfig;
  readonly services: MemberServices;
  readonly metrics: Metrics;
  readonly grpc: GrpcServer;
  readonly logger: Pick<Logger, "warn" | "debug">;
};

export class ClientListeners {
  readonly #config: AgentConfig;
  readonly #services: MemberServices;
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  readonly #withoutUpgrades: HttpServer;
  readonly #httpClients: HttpClients = new HttpClients();
  readonly #clientHandler: RequestListener;
  readonly #metricsHandler: RequestListener;
  readonly #healthHandler: RequestListener;
  readonly #rejections: RejectionLog;
  readonly #gate: ServingGate = new ServingGate();
  readonly #listeners: ClientListener[] = [];
  /** Ports for HTTP only. */
  readonly #httpServers: HttpServer[] = [];
  #tlsVersion = "";
  #welcome: NodeJS.Timeout | undefined = undefined;

  constructor({ config, services, metrics, grpc, logger }: ClientListenersOptions) {
    this.#config = config;
    this.#services = services;
    this.#rejections = new RejectionLog("client", logger, () => systemClock.monotonicMs());
    this.#grpc = grpc;
    const { corsOrigins, hostWhitelist } = config;
    const shared = { services, metrics, counters: grpc.counters, corsOrigins, hostWhitelist };
    const clientHandler = createHttpHandler({ ...shared, gateway: true, profiling: config.enablePprof });
    this.#clientHandler = (request, response) => this.#gate.hold(response, () => clientHandler(request, response));
    this.#http = createDetachedServer(this.#clientHandler, httpOptions);
    this.#withoutUpgrades = createDetachedServer(this.#clientHandler, httpOptions);
    for (const server of [this.#http, this.#withoutUpgrades]) this.#httpClients.watch(server);
    this.#serveWebSockets(this.#http);
    const operations = { ...shared, hostWhitelist: ["*"], gateway: false };
    this.#metricsHandler = createHttpHandler(operations);
    this.#healthHandler = createHttpHandler({ ...operations, healthOnly: true });
  }

  /**
   * Opens the ports. Clients wait until `serve`; metrics are available at once. @throws HaplanError `listen-failed`
   * naming the address; what was opened before is closed by `close`.
   */
  async listen(): Promise<void> {
    const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls, listenHealthUrls, clientTls } = this.#config;
    if (clientTls !== null) this.#tlsVersion = tlsFilesVersion(clientTls);
    for (const urls of urlsByPlace(listenClientUrls)) this.#listeners.push(await this.#listen(urls));
    for (const url of listenClientHttpUrls) this.#serveWebSockets(await this.#listenForHttp(url, this.#clientHandler));
    for (const url of listenMetricsUrls) await this.#listenForHttp(url, this.#metricsHandler);
    const anyCaller = clientTls === null ? null : { ...clientTls, requireClientCertificate: false };
    for (const url of listenHealthUrls) await this.#listenForHttp(url, this.#healthHandler, anyCaller);
  }

  /** Serves clients from now on, waiting ones first. */
  serve(): void {
    this.#gate.open();
  }

  /** Serves a connection that supports HTTP/1.1: a client's, or that of a request over HTTP/2. */
  serveHttp1(socket: Duplex): void {
    this.#http.emit("connection", socket);
  }

  /** Uses renewed certificates; called periodically. Returns whether there were any. */
  reloadCertificates(): boolean {
    const { clientTls } = this.#config;
    if (clientTls === null) return false;
    const version = tlsFilesVersion(clientTls);
    if (version === this.#tlsVersion) return false;
    const tls = listenerTls(clientTls);
    for (const listener of this.#listeners) if (listener.hasTls) listener.replaceTls(tls);
    for (const server of this.#httpServers) {
      if (server instanceof HttpsServer) server.setSecureContext(httpTls(clientTls));
    }
    this.#tlsVersion = version;
    return true;
  }

  /**
   * Drains the clients before `close`: asks them to switch to another member, serves their requests meanwhile, and
   * listens until they have disconnected and load balancers know: to them a member that refuses connections is dead,
   * and its pending responses are cut off. So the clients that they have sent here meanwhile are served before the
   * port is closed. Ends after a while in any case.
   */
  async drain(): Promise<void> {
    const startedMs = systemClock.monotonicMs();
    const until = async (hasGone: () => boolean, patienceMs: number): Promise<void> => {
      const fromMs = systemClock.monotonicMs();
      for (;;) {
        const nowMs = systemClock.monotonicMs();
        if (hasGone() || nowMs - startedMs > callsMs) return;
        if (nowMs - fromMs > patienceMs && this.#callsInFlight === 0) return;
        await systemClock.sleep(pollMs);
      }
    };
    clearTimeout(this.#welcome);
    this.#httpClients.closeConnections();
    this.#grpc.drainClients();
    const haveLeft = (): boolean => this.#grpc.drainingCount === 0 && !this.#httpClients.areDraining;
    await until(() => haveLeft() && !this.#httpClients.areBalancersUnaware, leaveMs);
    await this.#answerBalanced();
    const stopping = this.#listeners.map((listener) => listener.stop());
    await Promise.all([...stopping, ...this.#httpServers.map((server) => stopListening(server))]);
    this.#grpc.drain();
    await until(() => this.#grpc.connectionCount + this.#pendingCount === 0 && !this.#httpClients.areActive, leaveMs);
  }

  /** Clients that keep connecting use this member directly: they are not waited for. */
  async #answerBalanced(): Promise<void> {
    const untilMs = systemClock.monotonicMs() + leaveMs;
    const isQuiet = (): boolean => {
      const quietSinceMs = systemClock.monotonicMs() - lateConnectionMs;
      const isLate = this.#listeners.some(({ lastAcceptedMs }) => lastAcceptedMs > quietSinceMs);
      return !isLate && this.#pendingCount + this.#callsInFlight === 0;
    };
    while (this.#httpClients.areBalanced && !isQuiet() && systemClock.monotonicMs() < untilMs) {
      await systemClock.sleep(pollMs);
    }
  }

  /**
   * Drains the clients, and returns once they have been notified and their calls are answered, or after a while. The
   * member continues, and its health checks report that it is stopping; if it is not stopped, clients are accepted
   * again later.
   */
  async drainClients(): Promise<void> {
    const untilMs = systemClock.monotonicMs() + leaveMs;
    clearTimeout(this.#welcome);
    this.#welcome = setTimeout(() => this.#stopDraining(), welcomeAfterMs).unref();
    this.#services.announceShutdown();
    this.#httpClients.closeConnections();
    this.#grpc.drainClients();
    // The call that requests this is one of them.
    const isDone = (): boolean =>
      this.#grpc.unacknowledgedDrainCount === 0 &&
      this.#grpc.unaryCallsInFlight <= 1 &&
      !this.#httpClients.areBalancersUnaware;
    while (!isDone() && systemClock.monotonicMs() < untilMs) await systemClock.sleep(pollMs);
  }

  #stopDraining(): void {
    this.#services.revokeShutdown();
    this.#grpc.stopDraining();
    this.#httpClients.stopDraining();
  }

  get #callsInFlight(): number {
    return Math.max(0, this.#grpc.callsInFlight) + this.#httpClients.requestsUnderWay;
  }

  get #pendingCount(): number {
    return this.#listeners.reduce((sum, listener) => sum + listener.pendingCount, 0);
  }

  async close(): Promise<void> {
    const closing = this.#listeners.map((listener) => listener.close());
    this.#gate.close();
    for (const server of [this.#http, this.#withoutUpgrades, ...this.#httpServers]) {
      server.close();
      server.closeAllConnections();
    }
    await this.#grpc.shutdown(shutdownGraceMs);
    await Promise.all(closing);
  }

  #serveWebSockets(server: HttpServer): void {
    serveWebSockets(server, (socket) => this.#withoutUpgrades.emit("connection", socket));
  }

  /** `urls` are one address, with TLS, without or with both: the first byte of a client decides. */
  #listen(urls: readonly [URL, ...URL[]]): Promise<ClientListener> {
    const { clientTls, listenClientHttpUrls } = this.#config;
    return listenForClients({
      ...listenPlace(urls[0]),
      ...(urls.some(isTlsUrl) && clientTls !== null ? { tls: listenerTls(clientTls) } : {}),
      plain: !urls.every(isTlsUrl),
      onRejected: (rejection) => this.#rejections.add(rejection),
      onHttp2: (socket, commonName) => this.#gate.hold(socket, () => this.#grpc.accept(socket, commonName)),
      ...(listenClientHttpUrls.length > 0 ? {} : { onHttp1: (socket: Duplex) => this.serveHttp1(socket) }),
    });
  }

  async #listenForHttp(url: URL, handler: RequestListener, tls = this.#config.clientTls): Promise<HttpServer> {
    const server =
      isTlsUrl(url) && tls !== null
        ? createHttps(tls, handler, this.#rejections)
        : createHttpServer(httpOptions, handler);
    endStalledPipelines(server);
    this.#httpClients.watch(server);
    await listenAt(server, listenPlace(url));
    this.#httpServers.push(server);
    return server;
  }
}

function listenerTls(files: TlsFiles): ListenerTls {
  const { cert, key, ca } = readTlsMaterial(files);
  const verify = createCertificateVerifier(files);
  return {
    cert,
    key,
    ...(ca === null ? {} : { ca }),
    ...tlsProtocol(files),
    requireClientCertificate: files.requireClientCertificate,
    rejectReason: verify,
  };
}

function createHttps(files: TlsFiles, handler: RequestListener, rejections: RejectionLog): HttpServer {
  const { requireClientCertificate: requestCert } = files;
  const tls = { ...httpTls(files), requestCert, rejectUnauthorized: requestCert };
  const server = createHttpsServer({ ...httpOptions, ...tls }, handler);
  server.prependListener("secureConnection", (socket) => {
    if (!socket.destroyed) closeOnceGone(socket);
  });
  rejectConnections(server, {
    rejectReason: createCertificateVerifier(files),
    onRejected: (rejection) => rejections.add(rejection),
  });
  return server;
}

function httpTls(files: TlsFiles): SecureContextOptions {
  const { cert, key, ca } = readTlsMaterial(files);
  return { cert, key, ...(ca === null ? {} : { ca, ...fullHandshakesOnly }), ...tlsProtocol(files) };
}
