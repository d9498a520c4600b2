/**
 * One client's connection: finds a backend that accepts the connection, then forwards bytes in both directions. Nothing
 * is read from the client before the backend is connected, so trying the next backend repeats nothing.
 */
import { connect, type Socket } from "node:net";
import type { Backend } from "./backend.ts";
import { type Quiet, untilQuiet } from "./until-quiet.ts";

export type SessionHost = {
  /** The next backend to try; null if there is none left. */
  choose(tried: ReadonlySet<Backend>): Backend | null;
  /** Connecting to it failed. */
  onConnectFailed(backend: Backend, error: Error): void;
  /** It closed an established connection abruptly: time to probe it. */
  onBroken(backend: Backend): void;
  onEnd(session: Session): void;
};

const keepAliveDelayMs = 10_000;
const connectTimeoutMs = 1000;

export class Session {
  /** The backend that it is connected or connecting to. */
  backend: Backend | null = null;
  readonly #client: Socket;
  readonly #host: SessionHost;
  readonly #tried = new Set<Backend>();
  #upstream: Socket | null = null;
  #open = true;

  /** `client` must be paused and allow half-open. */
  constructor(client: Socket, host: SessionHost) {
    this.#client = client;
    this.#host = host;
    // It may end before it is forwarded.
    client.on("error", () => this.close());
  }

  start(): void {
    if (!this.#open) return;
    this.#client.setKeepAlive(true, keepAliveDelayMs);
    this.#client.on("close", (hadError) => this.#onClosed(hadError));
    this.#tryNext();
  }

  /** Closes both sides at once; bytes that the system has accepted still arrive. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#client.destroy();
    this.#upstream?.destroy();
    this.#leaveBackend();
    this.#host.onEnd(this);
  }

  /** Closes both sides between two calls, if `signal` is not aborted before there is such a moment. */
  async closeWhenQuiet(signal: AbortSignal): Promise<void> {
    if (this.#open && this.#upstream?.readyState === "open") await untilQuiet(this.#client, this.#upstream, signal);
    this.close();
  }

  /** Whether there is such a moment before `signal` is aborted; also one that is closed, or not connected yet. */
  async isQuiet(quiet: Quiet, signal: AbortSignal): Promise<boolean> {
    if (!this.#open || this.#upstream?.readyState !== "open") return true;
    return untilQuiet(this.#client, this.#upstream, signal, quiet);
  }

  #tryNext(): void {
    const backend = this.#host.choose(this.#tried);
    if (backend === null) {
      this.#client.resetAndDestroy();
      this.close();
      return;
    }
    this.#tried.add(backend);
    this.backend = backend;
    backend.connections++;
    const upstream = connect({ host: backend.address, port: backend.port, allowHalfOpen: true, noDelay: true });
    this.#upstream = upstream;
    const timer = setTimeout(
      () => upstream.destroy(new Error(`no connection within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    const onConnectFailed = (error: Error): void => {
      clearTimeout(timer);
      this.#leaveBackend();
      this.#host.onConnectFailed(backend, error);
      if (this.#open) this.#tryNext();
    };
    upstream.once("error", onConnectFailed);
    upstream.once("close", () => clearTimeout(timer));
    upstream.once("connect", () => {
      clearTimeout(timer);
      upstream.off("error", onConnectFailed);
      this.#carry(upstream, backend);
    });
  }

  #carry(upstream: Socket, backend: Backend): void {
    upstream.setKeepAlive(true, keepAliveDelayMs);
    upstream.on("error", () => {
      this.#host.onBroken(backend);
      this.close();
    });
    upstream.on("close", (hadError) => this.#onClosed(hadError));
    // pipe() passes an end on as an end, which keeps the other direction open, and pauses the faster side.
    this.#client.pipe(upstream);
    upstream.pipe(this.#client);
  }

  /** After an error the other side must be closed as well; after two clean ends it still may have bytes to send. */
  #onClosed(hadError: boolean): void {
    const bothClosed = this.#client.closed && (this.#upstream?.closed ?? true);
    const neverConnected = this.#upstream === null || this.#upstream.connecting;
    if (hadError || bothClosed || neverConnected) this.close();
  }

  #leaveBackend(): void {
    if (this.backend !== null) this.backend.connections--;
    this.backend = null;
  }
}
