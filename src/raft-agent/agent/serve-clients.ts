/**
 * The member's front: gRPC and HTTP (gateway, health, metrics) on every client URL, metrics and health alone on
 * every metrics URL.
 */
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { AgentConfig, TlsFiles } from "../config/agent-config.ts";
import { createHttpHandler } from "../gateway/http-handler.ts";
import type { GrpcServer } from "../grpc/grpc-server.ts";
import { type ClientListener, type ListenerTls, listenForClients } from "../http2/client-listener.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { MemberServices } from "../services/member-services.ts";
import { readTlsMaterial, tlsFilesVersion } from "./tls-material.ts";

/** How long calls under way may go on once the member is told to stop. */
const shutdownGraceMs = 1_000;

export type ClientFrontOptions = {
  readonly config: AgentConfig;
  readonly services: MemberServices;
  readonly metrics: Metrics;
  readonly grpc: GrpcServer;
};

export class ClientFront {
  readonly #config: AgentConfig;
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  readonly #metricsHandler: RequestListener;
  readonly #listeners: ClientListener[] = [];
  readonly #metricsServers: HttpServer[] = [];
  #tlsVersion = "";

  constructor({ config, services, metrics, grpc }: ClientFrontOptions) {
    this.#config = config;
    this.#grpc = grpc;
    const { corsOrigins, hostWhitelist } = config;
    const shared = { services, metrics, corsOrigins, hostWhitelist };
    // A watch through the gateway is a request that lasts; slow headers are still cut off.
    this.#http = createHttpServer({ requestTimeout: 0 }, createHttpHandler({ ...shared, gateway: true }));
    this.#metricsHandler = createHttpHandler({ ...shared, gateway: false });
  }

  /** @throws HaplanError `listen-failed` naming the address; what was opened before stays for `close`. */
  async open(): Promise<void> {
    const { listenClientUrls, listenMetricsUrls, clientTls } = this.#config;
    if (clientTls !== null) this.#tlsVersion = tlsFilesVersion(clientTls);
    for (const url of listenClientUrls) this.#listeners.push(await this.#listen(url));
    for (const url of listenMetricsUrls) this.#metricsServers.push(await this.#listenForMetrics(url));
  }

  /** Serves a connection on which HTTP/1.1 is spoken: a client's, or that of a request that came over HTTP/2. */
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
    for (const [at, listener] of this.#listeners.entries()) {
      if (this.#config.listenClientUrls[at]?.protocol === "https:") listener.replaceTls(tls);
    }
    this.#tlsVersion = version;
    return true;
  }

  async close(): Promise<void> {
    const closing = this.#listeners.map((listener) => listener.close());
    for (const server of [this.#http, ...this.#metricsServers]) {
      server.close();
      server.closeAllConnections();
    }
    await this.#grpc.shutdown(shutdownGraceMs);
    await Promise.all(closing);
  }

  #listen(url: URL): Promise<ClientListener> {
    const { clientTls } = this.#config;
    return listenForClients({
      host: hostOf(url),
      port: portOf(url),
      ...(url.protocol === "https:" && clientTls !== null ? { tls: listenerTls(clientTls) } : {}),
      onHttp2: (socket, commonName) => this.#grpc.accept(socket, commonName),
      onHttp1: (socket) => this.serveHttp1(socket),
    });
  }

  #listenForMetrics(url: URL): Promise<HttpServer> {
    const { clientTls } = this.#config;
    const server =
      url.protocol === "https:" && clientTls !== null
        ? createHttpsServer(httpsOptions(clientTls), this.#metricsHandler)
        : createHttpServer(this.#metricsHandler);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(portOf(url), hostOf(url), () => resolve(server));
    });
  }
}

function listenerTls(files: TlsFiles): ListenerTls {
  const { cert, key, ca } = readTlsMaterial(files);
  return { cert, key, ...(ca === null ? {} : { ca }), requireClientCertificate: files.requireClientCertificate };
}

function httpsOptions(files: TlsFiles): object {
  const { requireClientCertificate, ...tls } = listenerTls(files);
  return { ...tls, requestCert: requireClientCertificate, rejectUnauthorized: requireClientCertificate };
}

export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

export function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}
