/**
 * The member's front: gRPC and HTTP (gateway, health, metrics) on every client URL, unless HTTP has URLs of its own;
 * metrics and health alone on every metrics URL.
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
import { createCertificateJudge } from "../tls/certificate-judge.ts";
import { readTlsMaterial, tlsFilesVersion, tlsProtocol } from "../tls/tls-material.ts";
import { HttpClients } from "./http-clients.ts";
import { ServingGate } from "./serving-gate.ts";

/** How long calls may go on that could not be finished before the front is closed. */
const shutdownGraceMs = 1_000;
/** How long a client may take to leave once it is asked to, as long as it has no call under way. */
const leaveMs = 1_000;
/** How long calls under way may take while the member waits to stop. */
const callsMs = 5_000;
const pollMs = 5;
/** A load balancer that has heard that the member stops may have connected a client a moment before. */
const lateConnectionMs = 100;
/** How long clients are sent away that were asked to go, when the member is not stopped after all. */
const welcomeAfterMs = 30_000;
/**
 * A watch through the gateway is a request that lasts; slow headers are still cut off. Clients that come again every ten
 * seconds or every minute find their connection open, as with etcd: Node would close it after five seconds, perhaps
 * just when the next request is on its way.
 */
const httpOptions = { requestTimeout: 0, keepAliveTimeout: 600_000 };

export type ClientFrontOptions = {
  readonly config: AgentConfig;
  readonly services: MemberServices;
  readonly metrics: Metrics;
  readonly grpc: GrpcServer;
  readonly logger: Pick<Logger, "warn" | "debug">;
};

export class ClientFront {
  readonly #config: AgentConfig;
  readonly #services: MemberServices;
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  readonly #withoutUpgrades: HttpServer;
  readonly #httpClients: HttpClients = new HttpClients();
  readonly #clientHandler: RequestListener;
  readonly #metricsHandler: RequestListener;
  readonly #rejections: RejectionLog;
  readonly #gate: ServingGate = new ServingGate();
  readonly #listeners: ClientListener[] = [];
  /** Ports for HTTP alone. */
  readonly #httpServers: HttpServer[] = [];
  #tlsVersion = "";
  #welcome: NodeJS.Timeout | undefined = undefined;

  constructor({ config, services, metrics, grpc, logger }: ClientFrontOptions) {
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
    this.#metricsHandler = createHttpHandler({ ...shared, hostWhitelist: ["*"], gateway: false });
  }

  /**
   * Opens the ports. Clients are kept waiting until `serve`; metrics are there at once.
   * @throws HaplanError `listen-failed` naming the address; what was opened before stays for `close`.
   */
  async listen(): Promise<void> {
    const { listenClientUrls, listenClientHttpUrls, listenMetricsUrls, clientTls } = this.#config;
    if (clientTls !== null) this.#tlsVersion = tlsFilesVersion(clientTls);
    for (const urls of urlsByPlace(listenClientUrls)) this.#listeners.push(await this.#listen(urls));
    for (const url of listenClientHttpUrls) this.#serveWebSockets(await this.#listenForHttp(url, this.#clientHandler));
    for (const url of listenMetricsUrls) await this.#listenForHttp(url, this.#metricsHandler);
  }

  /** Answers clients from now on, those first that wait. */
  serve(): void {
    this.#gate.open();
  }

  /** Serves a connection on which HTTP/1.1 is supported: a client's, or that of a request that came over HTTP/2. */
  serveHttp1(socket: Duplex): void {
    this.#http.emit("connection", socket);
  }

  /** Takes renewed certificates into use; to be called now and then. Returns whether there were any. */
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
   * Leads the clients away before `close`: asks them to go elsewhere, answers what they ask meanwhile, and listens until
   * they have gone and load balancers know: to them a member that refuses connections is a dead one, and what it still
   * answers is cut off. So the clients that they have sent here meanwhile are answered before the port is closed. Ends
   * after a while in any case.
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
    const haveLeft = (): boolean => this.#grpc.drainingCount === 0 && !this.#httpClients.areLeaving;
    await until(() => haveLeft() && !this.#httpClients.areBalancersUnaware, leaveMs);
    await this.#answerBalanced();
    const stopping = this.#listeners.map((listener) => listener.stop());
    await Promise.all([...stopping, ...this.#httpServers.map((server) => stopListening(server))]);
    this.#grpc.drain();
    await until(() => this.#grpc.connectionCount + this.#pendingCount === 0 && !this.#httpClients.areActive, leaveMs);
  }

  /** Clients that come all the time come to this member itself: they are not waited for. */
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
   * Asks the clients to go elsewhere, and returns once they know and their calls are answered, or after a while. The member
   * goes on, and its health checks say that it is about to stop; if it is not stopped, clients are welcome again later.
   */
  async drainClients(): Promise<void> {
    const untilMs = systemClock.monotonicMs() + leaveMs;
    clearTimeout(this.#welcome);
    this.#welcome = setTimeout(() => this.#stopDraining(), welcomeAfterMs).unref();
    this.#services.announceShutdown();
    this.#httpClients.closeConnections();
    this.#grpc.drainClients();
    // The call that asks for this is one of them.
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

  /** `urls` are one place, with TLS, without or with both: the first byte of a client tells. */
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

  async #listenForHttp(url: URL, handler: RequestListener): Promise<HttpServer> {
    const { clientTls } = this.#config;
    const server =
      isTlsUrl(url) && clientTls !== null
        ? createHttps(clientTls, handler, this.#rejections)
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
  const judge = createCertificateJudge(files);
  return {
    cert,
    key,
    ...(ca === null ? {} : { ca }),
    ...tlsProtocol(files),
    requireClientCertificate: files.requireClientCertificate,
    rejectReason: judge,
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
    rejectReason: createCertificateJudge(files),
    onRejected: (rejection) => rejections.add(rejection),
  });
  return server;
}

function httpTls(files: TlsFiles): SecureContextOptions {
  const { cert, key, ca } = readTlsMaterial(files);
  return { cert, key, ...(ca === null ? {} : { ca, ...fullHandshakesOnly }), ...tlsProtocol(files) };
}
