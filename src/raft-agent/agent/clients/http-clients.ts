/**
 * The clients that use HTTP/1.1: pending requests, and their connections. A stopping member lets them disconnect
 * first.
 */
import type { RequestListener, Server, ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { systemClock } from "../../../base/clock.ts";

/**
 * How long after it was opened, or after a response, a request is likely to arrive on a connection. HTTP/1.1 can
 * announce the end of a connection only in a response, and a request that crosses the end of its connection fails.
 */
const nextRequestMs = 1_000;
/** Load balancers check the member's health periodically; longer intervals than this are not waited for. */
const probeIntervalMaxMs = 2_000;
/** The tolerance for a late health check: on a busy machine, another interval. */
const probeLatenessMs = 500;
const healthPath = /^\/(readyz|health)\b/;

export class HttpClients {
  readonly #responses = new Set<ServerResponse>();
  /** When each open connection was opened, or had its last response. */
  readonly #activeMs = new Map<Duplex, number>();
  /** When each address last got a response to a health check, and how long after the previous one. */
  readonly #probes = new Map<string, { readonly atMs: number; readonly intervalMs: number }>();
  #leaving: readonly Duplex[] = [];
  #closingSinceMs = 0;
  #closing = false;

  get requestsUnderWay(): number {
    return this.#responses.size;
  }

  /** Tracks the connections and requests of `server` from now on. */
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

  /** From now on every response announces that it is the last one on its connection. */
  closeConnections(): void {
    this.#closing = true;
    this.#closingSinceMs = systemClock.monotonicMs();
    this.#leaving = [...this.#activeMs.keys()];
    for (const response of this.#responses) askToClose(response);
  }

  stopDraining(): void {
    this.#closing = false;
  }

  /**
   * Whether the clients that were connected at `closeConnections` have pending requests, or are likely to send one
   * more.
   */
  get areDraining(): boolean {
    return this.#leaving.some((socket) => this.#isActive(socket));
  }

  /** Whether any client has a pending request, or is likely to send one. */
  get areActive(): boolean {
    return this.#responses.size > 0 || [...this.#activeMs.keys()].some((socket) => this.#isActive(socket));
  }

  /** Whether clients are likely to be behind a load balancer: one has checked the member's health recently. */
  get areBalanced(): boolean {
    const sinceMs = systemClock.monotonicMs() - 2 * probeIntervalMaxMs;
    return [...this.#probes.values()].some(({ atMs, intervalMs }) => intervalMs > 0 && atMs > sinceMs);
  }

  /** Whether a load balancer that does not know yet that this member is stopping is likely to check. */
  get areBalancersUnaware(): boolean {
    const nowMs = systemClock.monotonicMs();
    return [...this.#probes.values()].some(
      ({ atMs, intervalMs }) => atMs <= this.#closingSinceMs && nowMs < atMs + intervalMs + probeLatenessMs,
    );
  }

  #probed(address: string): void {
    const nowMs = systemClock.monotonicMs();
    const before = this.#probes.get(address);
    // Addresses that do not check again are dropped.
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
