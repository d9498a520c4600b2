/**
 * The HTTP handler for everything that is not gRPC: health, version, metrics, and the JSON gateway on the client port;
 * the same without the gateway on the metrics port (etcd's `--listen-metrics-urls`); health alone on the health port.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { posix } from "node:path";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { gzip as gzipWithCallback } from "node:zlib";
import { errorText } from "../../base/haplan-error.ts";
import type { MethodCounters } from "../grpc/method-counters.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { MemberServices } from "../services/member-services.ts";
import { checkHealth, livezChecks, readyzChecks, runCheck, shutdownCheck } from "./health.ts";
import { createJsonGateway, type JsonGateway, sendJson, sendMethodNotAllowed, sendText } from "./json-gateway.ts";
import { createProfiles, type Profiles } from "./profiles.ts";

export type HttpHandlerOptions = {
  readonly services: MemberServices;
  readonly metrics: Metrics;
  /** Of the services' methods. */
  readonly counters: readonly MethodCounters[];
  /** True on the client port. */
  readonly gateway: boolean;
  /** True on the health port, which answers every caller: nothing but health. */
  readonly healthOnly?: boolean;
  /** etcd's `--cors`: the allowed origins of browsers. */
  readonly corsOrigins: readonly string[];
  /** etcd's `--host-whitelist`, for ports without TLS; `*` allows any. */
  readonly hostWhitelist: readonly string[];
  /** etcd's `--enable-pprof`. */
  readonly profiling?: boolean;
};

const gzip = promisify(gzipWithCallback);

/** For `http.createServer`, or for sockets passed to its `connection` event. */
export function createHttpHandler(options: HttpHandlerOptions): RequestListener {
  const { services, metrics, counters } = options;
  const gateway = options.gateway
    ? createJsonGateway({ methods: services.methods, counters, handled: metrics.handled })
    : null;
  const profiles = options.profiling === true ? createProfiles() : null;
  return (request, response) => {
    serve(options, { gateway, profiles }, request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else sendText(response, 500, `haplan-agent: ${errorText(error)}\n`);
    });
  };
}

async function serve(
  options: HttpHandlerOptions,
  { gateway, profiles }: { readonly gateway: JsonGateway | null; readonly profiles: Profiles | null },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const target = parseTarget(request.url ?? "/");
  if (target === null) {
    sendText(response, 400, "the request's path is malformed\n");
    return;
  }
  // RFC 9112 §3.2: a proxy before us may have used another one than we do.
  if ((request.headersDistinct["host"]?.length ?? 0) > 1) {
    sendText(response, 400, "the request has more than one Host header\n");
    return;
  }
  if (!isHostAllowed(options.hostWhitelist, request)) {
    sendText(response, 421, unknownHostText(hostOf(request)));
    return;
  }
  allowOrigins(options.corsOrigins, request, response);
  const clean = posix.normalize(target.path);
  if (request.method === "OPTIONS") {
    response.writeHead(200, { "Content-Length": 0 }).end();
  } else if (clean !== target.path) {
    // Dashboards append "/metrics" to an address that ends in a slash, and follow redirects.
    response.setHeader("Location", encodeURI(clean) + target.search);
    sendText(response, 301, "Moved Permanently\n");
  } else if (/^\/v3(beta)?\//.test(clean)) {
    if (!gateway?.(clean, request, response)) sendText(response, 404, "Not Found\n");
  } else if (profiles !== null && clean.startsWith("/debug/pprof/")) {
    profiles(clean, target.query, request, response);
  } else if (!(await serveOperations(options, target, request, response))) {
    sendText(response, 404, "404 page not found\n");
  }
}

/** Returns false for unknown paths. */
async function serveOperations(
  options: HttpHandlerOptions,
  target: Target,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { services, metrics, healthOnly = false } = options;
  if (healthOnly && !/^\/(health|livez|readyz)(\/|$)/.test(target.path)) return false;
  if (target.path === "/metrics") {
    // By any method, as in etcd: some probes use HEAD.
    await sendMetrics(metrics, request, response);
    return true;
  }
  const respond = operationOf(target, services, metrics);
  if (respond === null) return false;
  if (request.method !== "GET") {
    sendMethodNotAllowed(response, "GET");
  } else await respond(response);
  return true;
}

type Respond = (response: ServerResponse) => Promise<void>;

function operationOf(target: Target, services: MemberServices, metrics: Metrics): Respond | null {
  const [, first = "", name, ...more] = target.path.split("/");
  if (more.length > 0) return null;
  if (first === "livez" || first === "readyz") return checksResponse(target, services, metrics, first, name);
  if (name !== undefined) return null;
  if (first === "health") return (response) => sendHealth(target, services, metrics, response);
  if (first === "version") return async (response) => sendJson(response, 200, versionOf(services));
  return null;
}

async function sendHealth(
  target: Target,
  services: MemberServices,
  metrics: Metrics,
  response: ServerResponse,
): Promise<void> {
  const health = await checkHealth(services, {
    serializable: target.query.get("serializable") === "true",
    exclude: target.query.getAll("exclude"),
  });
  if (health.health === "true") metrics.healthSucceeded();
  else metrics.healthFailed();
  sendJson(response, health.health === "true" ? 200 : 503, health);
}

/** `name` selects a single check; `exclude` applies to the whole list. */
function checksResponse(
  target: Target,
  services: MemberServices,
  metrics: Metrics,
  type: "livez" | "readyz",
  name: string | undefined,
): Respond | null {
  const isStopping = type === "readyz" && services.context.shutdown.begun;
  const regular = type === "livez" ? livezChecks : readyzChecks;
  const checks = isStopping ? [...regular, shutdownCheck] : regular;
  const excluded = target.query.getAll("exclude");
  const chosen = checks.filter((check) => (name === undefined ? !excluded.includes(check) : check === name));
  if (name !== undefined && chosen.length === 0) return null;
  return async (response) => {
    const lines: string[] = [];
    let failed = false;
    for (const check of chosen) {
      const fault = await runCheck(services, check);
      metrics.healthChecked(type, check, fault === null);
      lines.push(fault === null ? `[+]${check} ok\n` : `[-]${check} failed: ${fault}\n`);
      failed ||= fault !== null;
    }
    if (failed) sendText(response, isStopping ? stoppingStatus(target) : 503, lines.join(""));
    else sendText(response, 200, target.query.has("verbose") ? `${lines.join("")}ok\n` : "ok\n");
  };
}

/**
 * `?stopping=404` is for HAProxy's `disable-on-404`: a stopping member gets no new connections, and its existing ones
 * are kept.
 */
function stoppingStatus(target: Target): number {
  return target.query.get("stopping") === "404" ? 404 : 503;
}

function versionOf({ context, machine }: MemberServices): Record<string, string> {
  const minor = `${context.version.split(".").slice(0, 2).join(".")}.0`;
  const cluster = machine.membership.clusterVersion;
  return { etcdserver: context.version, etcdcluster: cluster === "" ? "not_decided" : cluster, storage: minor };
}

/** Prometheus requests gzip, which is a tenth of the page. */
async function sendMetrics(metrics: Metrics, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = Buffer.from(await metrics.render());
  const isPacked = acceptsGzip(request.headers["accept-encoding"] ?? "");
  const page = isPacked ? await gzip(text) : text;
  if (isPacked) response.setHeader("Content-Encoding", "gzip");
  response.writeHead(200, { "Content-Type": metrics.contentType, "Content-Length": page.length });
  response.end(page);
}

/** `field` is an Accept-Encoding (RFC 9110 §12.5.3). */
function acceptsGzip(field: string | string[]): boolean {
  return String(field)
    .split(",")
    .some((coding) => /^\s*gzip\s*(;(?!\s*q=0(\.0*)?\s*$)|$)/i.test(coding));
}

function allowOrigins(origins: readonly string[], request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers;
  const allowed = origins.includes("*") ? "*" : origins.find((one) => one === origin);
  if (allowed === undefined) return;
  response.setHeader("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE");
  response.setHeader("Access-Control-Allow-Origin", allowed);
  response.setHeader("Access-Control-Allow-Headers", "accept, content-type, authorization");
}

function isHostAllowed(whitelist: readonly string[], request: IncomingMessage): boolean {
  const isSecure = (request.socket as Partial<TLSSocket>).encrypted === true;
  if (isSecure || whitelist.includes("*") || whitelist.length === 0) return true;
  return whitelist.includes(hostOf(request));
}

function hostOf(request: IncomingMessage): string {
  return (request.headers.host ?? "").replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

/** This text is read behind a browser or a proxy, so it names the flag to set. */
function unknownHostText(host: string): string {
  return (
    `The Host header "${host}" is not in this member's host whitelist.\n` +
    `Serve clients over TLS, or add the name: --host-whitelist=${JSON.stringify(host)}\n` +
    "The check prevents DNS rebinding (CVE-2018-5702).\n"
  );
}

/** `search` starts with `?` or is empty. */
type Target = { readonly path: string; readonly search: string; readonly query: URLSearchParams };

/**
 * Parses the target of a request line, with an origin (as proxies may send it) or without; null when it is malformed.
 */
function parseTarget(text: string): Target | null {
  const [, raw = "", search = ""] = /^(?:https?:\/\/[^/?]*)?([^?]*)(.*)$/.exec(text) ?? [];
  try {
    return { path: decodeURIComponent(raw || "/"), search, query: new URLSearchParams(search) };
  } catch {
    return null;
  }
}
