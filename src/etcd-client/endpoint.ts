/** Endpoints in the notation of flags, and one HTTP/2 session to each. */
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { fingerprintOf } from "../base/fingerprint.ts";
import { errorText } from "../base/haplan-error.ts";
import { urlHost } from "../base/ip-address.ts";
import { listenAddress } from "../base/listen-place.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { GrpcError } from "./grpc-error.ts";

/** PEM. `cert` and `key` come together. */
export type ClientTls = {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** The name to verify in the server's certificate, if it is not the endpoint's host. */
  readonly serverName?: string;
  /**
   * SHA-256 fingerprints (lowercase hexadecimal) of server certificates that are accepted although they have expired.
   */
  readonly acceptedExpired?: readonly string[];
};

export type EndpointOptions = {
  readonly tls?: ClientTls | undefined;
  readonly connectTimeoutMs: number;
  /** An idle session is pinged at this interval and closed if a ping is not answered; 0 disables it. */
  readonly keepaliveMs: number;
};

/**
 * Parses `host:port`, `http://host:port` or `https://host:port` as a URL.
 * @throws RangeError that says what to write instead.
 */
export function endpointUrl(text: string, tls: boolean): URL {
  const withScheme = text.includes("://") ? text : `${tls ? "https" : "http"}://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || (url.pathname !== "/" && url.pathname !== ""))
    throw new RangeError(`Endpoint "${text}" is not valid: write host:port, http://host:port or https://host:port`);
  return url;
}

export class Endpoint {
  readonly url: URL;
  readonly #options: EndpointOptions;
  #session: Promise<ClientHttp2Session> | undefined = undefined;

  constructor(text: string, options: EndpointOptions) {
    this.url = endpointUrl(text, options.tls !== undefined);
    this.#options = options;
  }

  /**
   * The session to this endpoint, connected.
   * @throws GrpcError UNAVAILABLE, not processed, if no connection can be made.
   */
  session(): Promise<ClientHttp2Session> {
    if (this.#session !== undefined) return this.#session;
    const opening = this.#open();
    this.#session = opening;
    opening.then(
      (session) => {
        const forget = (): void => {
          if (this.#session === opening) this.#session = undefined;
        };
        session.once("close", forget);
        session.once("goaway", forget);
      },
      () => {
        if (this.#session === opening) this.#session = undefined;
      },
    );
    return opening;
  }

  /** Lets streams finish, then closes. */
  async close(): Promise<void> {
    const opening = this.#session;
    this.#session = undefined;
    const session = await opening?.catch(() => undefined);
    if (session === undefined || session.destroyed) return;
    session.destroy();
    await once(session, "close");
  }

  async #open(): Promise<ClientHttp2Session> {
    const socket = this.#dial();
    const session = connect(this.url.origin, { createConnection: () => socket });
    session.on("error", () => undefined);
    const abort = new AbortController();
    const { signal } = abort;
    try {
      await Promise.race([
        once(session, "connect", { signal }).then(() => this.#checkServer(session)),
        sleep(this.#options.connectTimeoutMs, undefined, { signal, ref: false }).then(() => {
          throw new Error(`no connection within ${this.#options.connectTimeoutMs} ms`);
        }),
      ]);
    } catch (error) {
      session.destroy();
      // A session that is connecting leaves its socket open, and a host that says nothing keeps the process from its end.
      socket.destroy();
      const text = `connection to ${this.url.host} failed: ${errorText(error)}`;
      throw new GrpcError(StatusCode.unavailable, text, { notProcessed: true, cause: error });
    } finally {
      abort.abort();
    }
    if (this.#options.keepaliveMs > 0) keepAlive(session, this.#options.keepaliveMs);
    return session;
  }

  /**
   * Node.js has verified the certificate and would have rejected it. An accepted one is identified by its fingerprint,
   * which proves more than its names and its signature.
   */
  #checkServer(session: ClientHttp2Session): void {
    if (!this.#acceptsExpired()) return;
    const socket = session.socket as TLSSocket;
    if (socket.authorized) return;
    const reason: Error | string = socket.authorizationError;
    const certificate = socket.getPeerX509Certificate();
    const isNamed =
      certificate !== undefined && this.#options.tls?.acceptedExpired?.includes(fingerprintOf(certificate));
    const accepted = String(reason) === "CERT_HAS_EXPIRED" && isNamed;
    if (!accepted) throw new Error(`the server's certificate is rejected: ${reasonText(reason)}`);
  }

  #acceptsExpired(): boolean {
    return this.url.protocol === "https:" && (this.#options.tls?.acceptedExpired?.length ?? 0) > 0;
  }

  #dial(): Socket {
    const place = listenAddress(this.url);
    if (this.url.protocol === "http:") return connectTcp(place);
    return connectTls({ ...place, ALPNProtocols: ["h2"], ...this.#tlsOptions() });
  }

  #tlsOptions(): ConnectionOptions {
    const { tls } = this.#options;
    const name = tls?.serverName ?? urlHost(this.url);
    return {
      ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls?.key === undefined ? {} : { key: tls.key }),
      // Server name indication is for names, not addresses (RFC 6066 §3).
      ...(isIP(name) === 0 ? { servername: name } : {}),
      // Verified after the handshake, before anything is sent: see #checkServer.
      ...(this.#acceptsExpired() ? { rejectUnauthorized: false } : {}),
    };
  }
}

function reasonText(reason: Error | string): string {
  if (String(reason) === "CERT_HAS_EXPIRED") return "certificate has expired";
  return reason instanceof Error ? reason.message : reason;
}

function keepAlive(session: ClientHttp2Session, everyMs: number): void {
  let answered = true;
  const timer = setInterval(() => {
    if (!answered) {
      session.destroy();
      return;
    }
    answered = false;
    session.ping((error) => {
      answered = error === null;
    });
  }, everyMs).unref();
  session.once("close", () => clearInterval(timer));
}
