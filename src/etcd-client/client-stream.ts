/** One gRPC call on a node:http2 stream: messages in both directions, and the status as the end or as an error. */
import { type ClientHttp2Session, type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { messagePrefixBytes, PartialMessage } from "../raft-agent/grpc/partial-message.ts";
import { decodeStatusMessage } from "../raft-agent/grpc/status-message.ts";
import { formatTimeout } from "../raft-agent/grpc/timeout.ts";
import { GrpcError } from "./grpc-error.ts";

/** Request headers; names in lower case, `-bin` values in base64. */
export type Metadata = Readonly<Record<string, string>>;

export type CallOptions = {
  /** The call fails with DEADLINE_EXCEEDED after this long; by default it has no deadline. */
  readonly timeoutMs?: number;
  readonly metadata?: Metadata;
  readonly signal?: AbortSignal;
};

/** How many unread messages to buffer before flow control slows the server down. */
const waitingMax = 64;

export class ClientStream implements AsyncIterable<Buffer> {
  readonly #stream: ClientHttp2Stream;
  readonly #waiting: Buffer[] = [];
  readonly #timer: NodeJS.Timeout | undefined;
  #partial: PartialMessage | undefined = undefined;
  #wake: (() => void) | undefined = undefined;
  #headers: IncomingHttpHeaders | undefined = undefined;
  #trailers: IncomingHttpHeaders | undefined = undefined;
  #failure: GrpcError | undefined = undefined;
  #over = false;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.cancel();

  constructor(session: ClientHttp2Session, path: string, options: CallOptions = {}) {
    const { timeoutMs, metadata, signal } = options;
    this.#stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "haplan-etcd-client",
      ...(timeoutMs === undefined ? {} : { "grpc-timeout": formatTimeout(timeoutMs) }),
      ...metadata,
    });
    this.#stream.on("response", (headers) => (this.#headers = headers));
    this.#stream.on("trailers", (trailers) => (this.#trailers = trailers));
    this.#stream.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#stream.on("error", (error) => (this.#failure ??= lostCall(this.#stream, error)));
    this.#stream.on("close", () => this.#onClose());
    // The server enforces its own deadline; this one is for a server that does not.
    if (timeoutMs !== undefined)
      this.#timer = setTimeout(() => this.#fail(StatusCode.deadlineExceeded, "context deadline exceeded"), timeoutMs);
    this.#signal = signal;
    if (signal?.aborted) this.cancel();
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Sends one message; resolves when more may be sent. */
  async send(message: Uint8Array): Promise<void> {
    if (this.#over || this.#stream.destroyed || this.#stream.writableEnded) throw this.#failure ?? alreadyOver();
    const framed = Buffer.allocUnsafe(messagePrefixBytes + message.length);
    framed[0] = 0;
    framed.writeUInt32BE(message.length, 1);
    framed.set(message, messagePrefixBytes);
    if (this.#stream.write(framed)) return;
    await new Promise<void>((resolve) => {
      this.#stream.once("drain", resolve);
      this.#stream.once("close", resolve);
    });
  }

  /** Closes the sending side. */
  end(): void {
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.end();
  }

  /** Cancels the call: readers get CANCELLED. */
  cancel(): void {
    this.#fail(StatusCode.cancelled, "the call was cancelled");
  }

  /**
   * The messages of the server, until it ends the call.
   * @throws GrpcError for any status but OK. Leaving the loop early cancels the call.
   */
  async *[Symbol.asyncIterator](): AsyncIterator<Buffer> {
    try {
      for (;;) {
        const message = this.#waiting.shift();
        if (message !== undefined) {
          if (this.#waiting.length === 0) this.#stream.resume();
          yield message;
        } else if (this.#over) {
          const error = this.#status();
          if (error !== undefined) throw error;
          return;
        } else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      if (!this.#over) this.cancel();
    }
  }

  #fail(code: StatusCode, message: string): void {
    if (this.#over) return;
    this.#failure ??= new GrpcError(code, message);
    // Deferred: Node.js 20 may not return from closing a stream inside an event of its session.
    setImmediate(() => this.#stream.close(constants.NGHTTP2_CANCEL));
  }

  #onData(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const partial = (this.#partial ??= new PartialMessage());
      at = partial.takePrefix(chunk, at, chunk.length);
      if (partial.prefixKnown) at = partial.takeBody(chunk, at, chunk.length);
      if (!partial.complete) continue;
      this.#partial = undefined;
      if (partial.flags !== 0) this.#fail(StatusCode.internal, "server sent a compressed message without being asked");
      else this.#waiting.push(partial.body);
    }
    if (this.#waiting.length > waitingMax) this.#stream.pause();
    this.#wakeReader();
  }

  #onClose(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#wakeReader();
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** The status of the call as an error; undefined for OK. */
  #status(): GrpcError | undefined {
    const fields = this.#trailers ?? this.#headers;
    const status = fields?.["grpc-status"];
    if (status !== undefined) {
      if (Number(status) === StatusCode.ok) return undefined;
      const text = decodeStatusMessage(String(fields?.["grpc-message"] ?? ""));
      return new GrpcError(Number(status) as StatusCode, text);
    }
    if (this.#failure !== undefined) return this.#failure;
    const http = this.#headers?.[":status"];
    if (http !== undefined && Number(http) !== 200)
      return new GrpcError(StatusCode.unknown, `server answered HTTP ${http}`);
    return lostCall(this.#stream, undefined);
  }
}

function alreadyOver(): GrpcError {
  return new GrpcError(StatusCode.cancelled, "the call is over");
}

/** A stream that ended without a status: rejected before it was processed (RFC 9113 §8.7), or lost. */
function lostCall(stream: ClientHttp2Stream, cause: unknown): GrpcError {
  const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
  const text = refused ? "the server refused the call" : "the connection was lost during the call";
  return new GrpcError(StatusCode.unavailable, text, { notProcessed: refused, cause });
}
