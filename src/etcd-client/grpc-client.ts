/**
 * A gRPC client for etcd's API and haplan's own, on node:http2: messages are bytes. It has several endpoints of one
 * cluster and uses the next if one is not available; it retries calls that are safe to retry.
 */
import { StatusCode } from "../raft-agent/api/status-code.ts";
import type { CallChannel, UnaryOptions } from "./call-channel.ts";
import { type CallOptions, ClientStream } from "./client-stream.ts";
import { type ClientTls, Endpoint } from "./endpoint.ts";
import { GrpcError } from "./grpc-error.ts";

export type ClientOptions = {
  /** `host:port`, `http://host:port` or `https://host:port`, all of one cluster. */
  readonly endpoints: readonly string[];
  /** For https endpoints; endpoints without a scheme are https if it is given. */
  readonly tls?: ClientTls;
  readonly connectTimeoutMs?: number;
  /** See `EndpointOptions`; off by default, because etcd rejects pings more often than every 5 s. */
  readonly keepaliveMs?: number;
};

/** Opens nothing yet: the first call connects. @throws RangeError for an invalid endpoint. */
export function connect(options: ClientOptions): GrpcClient {
  return new GrpcClient(options);
}

export class GrpcClient implements CallChannel, AsyncDisposable {
  readonly #endpoints: readonly Endpoint[];
  #current = 0;
  #closed = false;

  constructor(options: ClientOptions) {
    if (options.endpoints.length === 0) throw new RangeError("No endpoints: write at least one host:port");
    const endpointOptions = {
      tls: options.tls,
      connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
      keepaliveMs: options.keepaliveMs ?? 0,
    };
    this.#endpoints = options.endpoints.map((text) => new Endpoint(text, endpointOptions));
  }

  /** The endpoint of the next call. */
  get endpoint(): string {
    return this.#endpoints[this.#current]!.url.host;
  }

  /**
   * A unary call. Tries each endpoint at most once.
   * @throws GrpcError
   */
  async unary(path: string, request: Uint8Array, options: UnaryOptions = {}): Promise<Buffer> {
    const deadlineMs = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
    for (let attempt = 1; ; attempt++) {
      const index = this.#current;
      try {
        return await this.#unaryOnce(path, request, options, deadlineMs);
      } catch (error) {
        if (!(error instanceof GrpcError) || error.code !== StatusCode.unavailable) throw error;
        if (this.#current === index) this.#current = (index + 1) % this.#endpoints.length;
        const repeatable = error.notProcessed || options.idempotent === true;
        if (!repeatable || attempt >= this.#endpoints.length || this.#closed) throw error;
      }
    }
  }

  /**
   * Opens a stream, on the first endpoint that accepts connections. A broken stream is not reopened: only its user
   * knows where it was.
   * @throws GrpcError UNAVAILABLE if no endpoint accepts connections.
   */
  async stream(path: string, options: CallOptions = {}): Promise<ClientStream> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#open(path, options);
      } catch (error) {
        this.#current = (this.#current + 1) % this.#endpoints.length;
        if (attempt >= this.#endpoints.length || this.#closed) throw error;
      }
    }
  }

  /** Ends all calls and connections. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #unaryOnce(path: string, request: Uint8Array, options: UnaryOptions, deadlineMs: number): Promise<Buffer> {
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) throw new GrpcError(StatusCode.deadlineExceeded, "context deadline exceeded");
    const stream = await this.#open(path, Number.isFinite(leftMs) ? { ...options, timeoutMs: leftMs } : options);
    await stream.send(request);
    stream.end();
    let answer: Buffer | undefined;
    for await (const message of stream) answer = message;
    if (answer === undefined) throw new GrpcError(StatusCode.internal, "server answered OK without a message");
    return answer;
  }

  async #open(path: string, options: CallOptions): Promise<ClientStream> {
    if (this.#closed) throw new GrpcError(StatusCode.cancelled, "the client is closed");
    const session = await this.#endpoints[this.#current]!.session();
    try {
      return new ClientStream(session, path, options);
    } catch (error) {
      // The session was closed between connecting and calling.
      throw new GrpcError(StatusCode.unavailable, "the connection was lost", { notProcessed: true, cause: error });
    }
  }
}
