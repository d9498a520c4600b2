/**
 * Decides which requests the page's server answers. Pure. A page of another site must neither read from it nor find it, also
 * when its name resolves to this machine (DNS rebinding): hence the token in the path, and the checks of `Host` and `Origin`.
 */
import { createHash, timingSafeEqual } from "node:crypto";

export type GuardedRequest = {
  readonly method: string;
  /** Path and query, as on the request line. */
  readonly target: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
};

/** `path`: what follows the token, without the slash and the query. */
export type GuardDecision =
  | { readonly kind: "serve"; readonly path: string }
  | { readonly kind: "reject"; readonly status: 403 | 405; readonly why: string };

export type Guard = {
  /** The second part of every URL. */
  readonly token: string;
  /** Of the server's own socket. */
  readonly port: number;
};

/** The names by which a browser on this machine reaches a server on this machine. */
const hostNames = ["127.0.0.1", "localhost"];

export function guardRequest({ token, port }: Guard, request: GuardedRequest): GuardDecision {
  const { method, target, host, origin } = request;
  const hosts = hostNames.map((name) => `${name}:${port}`);
  if (host === undefined || !hosts.includes(host.toLowerCase()))
    return reject(403, `This server is reached as ${hosts[0]} only.`);
  if (origin !== undefined && !hosts.some((own) => origin === `http://${own}`))
    return reject(403, "Requests of other pages are rejected.");
  if (method !== "GET" && method !== "HEAD") return reject(405, "This server is read-only: it answers GET and HEAD.");
  const match = /^\/([^/?#]*)\/([^?#]*)(?:\?[^#]*)?$/.exec(target);
  if (match === null || !isEqual(match[1]!, token))
    return reject(403, "The URL has no valid token: use the one that haplan ui has printed.");
  return { kind: "serve", path: match[2]! };
}

function reject(status: 403 | 405, why: string): GuardDecision {
  return { kind: "reject", status, why };
}

/** Takes as long wherever the two differ. */
function isEqual(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
