/** The clients that speak HTTP/1.1: what is being answered, and on which connections. A member that stops lets them go first. */
import type { RequestListener, Server, ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { systemClock } from "../../../base/clock.ts";

/**
 * How long after it was opened, or after an answer, a request is likely to come on a connection. HTTP/1.1 has no way to
 * say that a connection will be closed but in an answer, and a request that crosses the end of its connection fails.
 */
const nextRequestMs = 1_000;
/** Load balancers ask for the member's health at an interval; longer ones than this are not waited for. */
const probeIntervalMaxMs = 2_000;
/** How much later than usual a load balancer may ask: on a busy machine, by as much again as it usually waits. */
const probeLatenessMs = 500;
const healthPath = /^\/(readyz|health)\b/;

export class HttpClients {
  readonly #responses = new Set<ServerResponse>();
  /** When each open connection was opened, or was last answered on. */
  readonly #activeMs = new Map<Duplex, number>();
  /** When each address last got an answer to its question for the member's health, and how long after the one before. */
  readonly #probes = new Map<string, { readonly atMs: number; readonly intervalMs: number }>();
  #leaving: readonly Duplex[] = [];
  #closingSinceMs = 0;
  #closing = false;

  get requestsUnderWay(): number {
    return this.#responses.size;
  }

  /** Knows the connections and requests of `server` from now on. */
  watch(server: Server): void {
    server.on(server instanceof HttpsServer ? "secureConnection" : "connection", (socket: Duplex) => {
      this.#activeMs.set(socket, systemClock.monotonicMs());
      socket.once("close", () => this.#activeMs.delete(socket));
    });
    const onRequest: RequestListener = ({ socket, url }, response) => {
      const prober = healthPath.test(url ?? "") ? socket.remoteAddress : undefined;
      this.#responses.add(response);
      response.once("close", () => {
        this.#responses.delete(response);
        if (prober !== undefined) this.#probed(prober);
        if (this.#activeMs.has(socket)) this.#activeMs.set(socket, systemClock.monotonicMs());
      });
      if (this.#closing) askToClose(response);
    };
    server.prependListener("request", onRequest);
  }

  /** From now on every answer tells its client that it is the last one on the connection. */
  closeConnections(): void {
    this.#closing = true;
    this.#closingSinceMs = systemClock.monotonicMs();
    this.#leaving = [...this.#activeMs.keys()];
    for (const response of this.#responses) askToClose(response);
  }

  stopDraining(): void {
    this.#closing = false;
  }

  /** Whether the clients that were there at `closeConnections` are asking, or are likely to ask once more. */
  get areLeaving(): boolean {
    return this.#leaving.some((socket) => this.#isActive(socket));
  }

  /** Whether any client is asking, or is likely to. */
  get areActive(): boolean {
    return this.#responses.size > 0 || [...this.#activeMs.keys()].some((socket) => this.#isActive(socket));
  }

  /** Whether clients are likely to come through a load balancer: one has asked for the member's health not long ago. */
  get areBalanced(): boolean {
    const sinceMs = systemClock.monotonicMs() - 2 * probeIntervalMaxMs;
    return [...this.#probes.values()].some(({ atMs, intervalMs }) => intervalMs > 0 && atMs > sinceMs);
  }

  /** Whether a load balancer is likely to ask that has not been told yet that this member is about to stop. */
  get areBalancersUnaware(): boolean {
    const nowMs = systemClock.monotonicMs();
    return [...this.#probes.values()].some(
      ({ atMs, intervalMs }) => atMs <= this.#closingSinceMs && nowMs < atMs + intervalMs + probeLatenessMs,
    );
  }

  #probed(address: string): void {
    const nowMs = systemClock.monotonicMs();
    const before = this.#probes.get(address);
    // No entry is kept of those that do not ask again.
    for (const [known, { atMs }] of this.#probes) if (atMs < nowMs - probeIntervalMaxMs) this.#probes.delete(known);
    const gapMs = before === undefined ? Number.POSITIVE_INFINITY : nowMs - before.atMs;
    this.#probes.set(address, { atMs: nowMs, intervalMs: gapMs > probeIntervalMaxMs ? -probeLatenessMs : gapMs });
  }

  #isActive(socket: Duplex): boolean {
    const activeMs = this.#activeMs.get(socket);
    return activeMs !== undefined && systemClock.monotonicMs() - activeMs < nextRequestMs;
  }
}

function askToClose(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader("Connection", "close");
}
