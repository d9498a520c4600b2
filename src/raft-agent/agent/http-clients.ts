/** The clients that speak HTTP/1.1: what is being answered, and on which connections. A member that stops lets them go first. */
import type { RequestListener, Server, ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Duplex } from "node:stream";
import { systemClock } from "../../base/clock.ts";

/**
 * How long after it was opened, or after an answer, a request is likely to come on a connection. HTTP/1.1 has no way to
 * say that a connection will be closed but in an answer, and a request that crosses the end of its connection fails.
 */
const nextRequestMs = 1_000;

export class HttpClients {
  readonly #responses = new Set<ServerResponse>();
  /** When each open connection was opened, or was last answered on. */
  readonly #activeMs = new Map<Duplex, number>();
  #leaving: readonly Duplex[] = [];
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
    const onRequest: RequestListener = ({ socket }, response) => {
      this.#responses.add(response);
      response.once("close", () => {
        this.#responses.delete(response);
        if (this.#activeMs.has(socket)) this.#activeMs.set(socket, systemClock.monotonicMs());
      });
      if (this.#closing) askToClose(response);
    };
    server.prependListener("request", onRequest);
  }

  /** From now on every answer tells its client that it is the last one on the connection. */
  closeConnections(): void {
    this.#closing = true;
    this.#leaving = [...this.#activeMs.keys()];
    for (const response of this.#responses) askToClose(response);
  }

  /** Whether the clients that were there at `closeConnections` are asking, or are likely to ask once more. */
  get areLeaving(): boolean {
    return this.#leaving.some((socket) => this.#isActive(socket));
  }

  /** Whether any client is asking, or is likely to. */
  get areActive(): boolean {
    return this.#responses.size > 0 || [...this.#activeMs.keys()].some((socket) => this.#isActive(socket));
  }

  #isActive(socket: Duplex): boolean {
    const activeMs = this.#activeMs.get(socket);
    return activeMs !== undefined && systemClock.monotonicMs() - activeMs < nextRequestMs;
  }
}

function askToClose(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader("Connection", "close");
}
