/**
 * A gRPC call on an HTTP/2 stream: messages from DATA frames, messages into DATA frames, the status into trailers. It
 * is the stream and the call in one object. A message contained in one frame is passed to the service in place.
 */
import { gunzipSync } from "node:zlib";
import { systemErrorCode } from "../../base/haplan-error.ts";
import { StatusCode } from "../api/status-code.ts";
import type { FlushScheduler } from "../http2/flush-scheduler.ts";
import { ErrorCode, readUint32, writeUint32 } from "../http2/frame.ts";
import { type IndexedField, indexedFields } from "../http2/hpack-encoder.ts";
import type { RequestHead } from "../http2/request-head.ts";
import type { ServerConnection } from "../http2/server-connection.ts";
import { ServerStream } from "../http2/server-stream.ts";
import type { MessageSource, ResponsePacing, ServerCall, StreamHandler } from "./call.ts";
import { type CallRoute, type MethodEntry, trailersBlock, trailersOnlyBlock } from "./call-route.ts";
import type { DeadlineQueue, Expiring } from "./deadline-queue.ts";
import type { MethodCounters } from "./method-counters.ts";
import { messagePrefixBytes, PartialMessage } from "./partial-message.ts";
import type { PacedCall, ResponseScheduler } from "./response-scheduler.ts";
import type { RecentRequests, SlowRequestOptions } from "./slow-requests.ts";

/** What calls require from their server. */
export type CallContext = {
  readonly maxReceiveBytes: number;
  readonly maxBufferedBytes: number;
  readonly deadlines: DeadlineQueue;
  readonly flushScheduler: FlushScheduler;
  readonly responses: ResponseScheduler;
  readonly nowMs: () => number;
  onHandlerError(error: unknown, path: string): void;
  readonly onHandled: ((method: MethodCounters, seconds: number) => void) | undefined;
  readonly slow: SlowRequestOptions | undefined;
  readonly recent: RecentRequests;
};

/** The fields of every successful response; the server's connections keep them in their header tables. */
export const responseFields: readonly IndexedField[] = indexedFields([
  [":status", "200"],
  ["content-type", "application/grpc"],
  ["grpc-status", "0"],
]);
const headerFields = responseFields.slice(0, 2);
const okTrailerFields = responseFields.slice(2);
const okTrailers = trailersBlock(StatusCode.ok, "");
const compressedFlag = 1;
/** The prefix of the message being sent: it is copied before `send` returns. */
const prefix = new Uint8Array(messagePrefixBytes);

export class GrpcCall extends ServerStream implements ServerCall, ResponsePacing, PacedCall, Expiring {
  open = true;
  deadlineMs = 0;
  deadlineSlot = -1;
  readonly #context: CallContext;
  readonly #entry: MethodEntry;
  readonly #gzip: boolean;
  #handler: StreamHandler | undefined = undefined;
  #partial: PartialMessage | undefined = undefined;
  /** A unary request that is complete while the client has not yet half-closed. */
  #request: Uint8Array | undefined = undefined;
  #startedMs = 0;
  /** Of a unary call: where its request is kept, and the length of the request and the response. */
  #keptAt = -1;
  #requestBytes = 0;
  #responseBytes = 0;
  /** 0 without a response, or with one that is built part by part. */
  #respondedMs = 0;
  #responseCount: number | null = null;
  #headersSent = false;
  #closeDue = false;
  #drainDue = false;

  constructor(
    context: CallContext,
    connection: ServerConnection,
    id: number,
    head: RequestHead,
    route: CallRoute & { kind: "call" },
  ) {
    super(connection, id, head, route.entry.method.kind === "stream");
    this.#context = context;
    this.#entry = route.entry;
    this.#gzip = route.gzip;
    if (route.timeoutMs !== undefined) this.deadlineMs = context.nowMs() + route.timeoutMs;
  }

  get path(): string {
    return this.#entry.method.path;
  }

  get clientCommonName(): string | undefined {
    return this.connection.clientCommonName;
  }

  get remoteAddress(): string {
    return this.connection.remoteAddress;
  }

  header(name: string): string | undefined {
    return this.head.field(name);
  }

  get pacing(): ResponsePacing {
    return this;
  }

  get hasRoom(): boolean {
    return this.#context.responses.hasRoom(this.connection);
  }

  get hasRoomForLarge(): boolean {
    return this.#context.responses.hasRoomForLarge(this.connection);
  }

  whenRoom(requestBytes: number, task: () => void): void {
    if (this.open) this.#context.responses.wait(this, requestBytes, task);
  }

  sendFrom(source: MessageSource): void {
    if (this.open) this.#context.responses.make(this, source);
  }

  sendParts(parts: Uint8Array[], bytes: number): void {
    if (!this.open) return;
    this.#beginMessage(bytes);
    this.connection.sender.parts(this, [prefix.slice(), ...parts], messagePrefixBytes + bytes);
    this.finish();
  }

  send(message: Uint8Array): boolean {
    if (!this.open) return true;
    if (this.#requestBytes > 0) this.#responded(message);
    this.#beginMessage(message.length);
    this.#context.responses.sent(message.length);
    return this.connection.sender.data(this, prefix, message);
  }

  finish(code: StatusCode = StatusCode.ok, message = ""): void {
    if (!this.open) return;
    this.#closed(code);
    const { sender } = this.connection;
    if (code === StatusCode.ok) {
      if (!this.#headersSent) this.#sendHeaders();
      sender.trailers(this, okTrailerFields, okTrailers);
    } else if (this.#headersSent) sender.trailers(this, [], trailersBlock(code, message));
    else sender.block(this, trailersOnlyBlock(200, code, message), true);
  }

  override onOpen(endStream: boolean): void {
    this.#entry.counters.started++;
    if (this.#isTimed) this.#startedMs = this.#context.nowMs();
    if (this.deadlineMs > 0) this.#context.deadlines.add(this);
    const { method } = this.#entry;
    if (method.kind === "stream") {
      try {
        this.#handler = method.open(this);
      } catch (error) {
        this.#handlerFailed(error);
      }
    }
    if (endStream) this.#onHalfClose();
  }

  override onData(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    let at = start;
    while (at < end && this.open) {
      if (this.#partial !== undefined || end - at < messagePrefixBytes)
        at = this.#onFragment(bytes, at, end, endStream);
      else {
        const length = readUint32(bytes, at + 1);
        const bodyStart = at + messagePrefixBytes;
        if (length > this.#context.maxReceiveBytes) this.#tooLarge("", length);
        else if (bodyStart + length > end) at = this.#onFragment(bytes, at, end, endStream);
        else {
          at = bodyStart + length;
          this.#onFlaggedMessage(
            bytes[bodyStart - messagePrefixBytes]!,
            bytes.subarray(bodyStart, at),
            endStream && at === end,
          );
        }
      }
    }
    if (endStream && this.open) this.#onHalfClose();
  }

  override onDrain(): void {
    if (!this.open || this.#handler === undefined) return;
    this.#drainDue = true;
    this.#context.flushScheduler.addCallback(this);
  }

  override onAbort(): void {
    if (this.open) this.#closed(StatusCode.cancelled);
  }

  onDeadline(): void {
    this.finish(StatusCode.deadlineExceeded, "context deadline exceeded");
    // What still waits for the peer is of no use to it any more.
    if (this.queue !== undefined) this.connection.resetStream(this, ErrorCode.cancel);
  }

  /** Runs callbacks to the service that must not be nested in one of its own calls. */
  onTickEnd(): void {
    try {
      if (this.#closeDue) {
        this.#closeDue = false;
        const { method } = this.#entry;
        if (method.kind === "unary") method.onClose?.(this);
        else this.#handler?.onClose();
      } else if (this.#drainDue && this.open) {
        this.#drainDue = false;
        this.#handler?.onDrain();
      }
    } catch (error) {
      this.#context.onHandlerError(error, this.path);
    }
  }

  #beginMessage(bytes: number): void {
    const { counters } = this.#entry;
    counters.messagesSent++;
    counters.bytesSent += bytes;
    this.#responseBytes += bytes;
    if (!this.#headersSent) this.#sendHeaders();
    writeUint32(prefix, 1, bytes);
  }

  #sendHeaders(): void {
    this.#headersSent = true;
    this.connection.sender.indexed(this, headerFields, false);
  }

  #closed(code: StatusCode): void {
    this.open = false;
    const { counters, method } = this.#entry;
    counters.handled[code]!++;
    if (this.#isTimed) this.#timed(counters);
    this.#context.deadlines.remove(this);
    this.#dropPartial();
    this.#request = undefined;
    if (this.#handler === undefined && (method.kind === "stream" || method.onClose === undefined)) return;
    this.#closeDue = true;
    this.#context.flushScheduler.addCallback(this);
  }

  get #isTimed(): boolean {
    return this.#context.onHandled !== undefined || this.#context.slow !== undefined;
  }

  /** The one response of a unary call, inspected while its bytes are available, in case the call is logged. */
  #responded(message: Uint8Array): void {
    const { slow, nowMs } = this.#context;
    this.#respondedMs = nowMs();
    if (slow === undefined || this.#respondedMs - this.#startedMs <= slow.thresholdMs) return;
    this.#responseCount = slow.countResponse(this.path, message);
  }

  #timed(counters: MethodCounters): void {
    const { onHandled, slow, recent } = this.#context;
    const tookMs = (this.#respondedMs || this.#context.nowMs()) - this.#startedMs;
    onHandled?.(counters, tookMs / 1000);
    if (slow === undefined || tookMs <= slow.thresholdMs || this.#entry.method.kind !== "unary") return;
    slow.onSlow({
      path: this.path,
      remoteAddress: this.remoteAddress,
      tookMs,
      request: recent.read(this.#keptAt, this.#requestBytes),
      requestBytes: this.#requestBytes,
      responseBytes: this.#responseBytes,
      responseCount: this.#responseCount,
    });
  }

  #dropPartial(): void {
    if (this.#partial === undefined) return;
    this.connection.bufferedRequestBytes -= this.#partial.capacityBytes;
    this.#partial = undefined;
  }

  /** Takes bytes of a message that no frame contains as a whole. */
  #onFragment(bytes: Buffer, start: number, end: number, endStream: boolean): number {
    const partial = (this.#partial ??= new PartialMessage());
    let at = partial.takePrefix(bytes, start, end);
    if (!partial.prefixKnown) return at;
    if (partial.length > this.#context.maxReceiveBytes) {
      this.#tooLarge("", partial.length);
      return end;
    }
    const before = partial.capacityBytes;
    at = partial.takeBody(bytes, at, end);
    this.connection.bufferedRequestBytes += partial.capacityBytes - before;
    if (this.connection.bufferedRequestBytes > this.#context.maxBufferedBytes)
      this.finish(StatusCode.resourceExhausted, "too many unfinished requests on this connection");
    else if (partial.complete) {
      const { flags, body } = partial;
      this.#dropPartial();
      this.#onFlaggedMessage(flags, body, endStream && at === end);
    }
    return at;
  }

  #onFlaggedMessage(flags: number, body: Buffer, last: boolean): void {
    if (flags === 0) this.#onMessage(body, last);
    else if (flags !== compressedFlag)
      this.finish(StatusCode.internal, `grpc: received unexpected payload format ${flags}`);
    else if (!this.#gzip) this.finish(StatusCode.internal, "grpc: compressed flag set with identity or empty encoding");
    else this.#onCompressed(body, last);
  }

  #onCompressed(body: Buffer, last: boolean): void {
    const { maxReceiveBytes } = this.#context;
    try {
      this.#onMessage(gunzipSync(body, { maxOutputLength: maxReceiveBytes }), last);
    } catch (error) {
      if (systemErrorCode(error) === "ERR_BUFFER_TOO_LARGE")
        this.#tooLarge("after decompression ", maxReceiveBytes + 1);
      else this.finish(StatusCode.internal, `grpc: failed to decompress the received message: ${String(error)}`);
    }
  }

  #tooLarge(when: string, length: number): void {
    const { maxReceiveBytes } = this.#context;
    const text = `grpc: received message ${when}larger than max (${length} vs. ${maxReceiveBytes})`;
    this.finish(StatusCode.resourceExhausted, text);
  }

  #onMessage(buffer: Buffer, last: boolean): void {
    const { counters, method } = this.#entry;
    // A service that calls `slice` expects a copy; a Buffer's would share the bytes of everything that was read with
    // it.
    const message = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
    counters.messagesReceived++;
    counters.bytesReceived += message.length;
    if (method.kind === "unary") {
      if (this.#request !== undefined)
        this.finish(StatusCode.internal, "cardinality violation: more than one request message for a unary call");
      else if (last) this.#request = message;
      else this.#request = message.slice();
      return;
    }
    try {
      this.#handler?.onMessage(message);
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  #onHalfClose(): void {
    if (this.#partial !== undefined) {
      this.finish(StatusCode.internal, "unexpected EOF");
      return;
    }
    const { method } = this.#entry;
    try {
      if (method.kind === "stream") this.#handler?.onHalfClose();
      else if (this.#request === undefined)
        this.finish(StatusCode.internal, "cardinality violation: no request message for a unary call");
      else {
        const request = this.#request;
        this.#request = undefined;
        if (this.#context.slow !== undefined) {
          this.#requestBytes = request.length;
          this.#keptAt = this.#context.recent.keep(request);
        }
        method.handle(request, this);
      }
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  #handlerFailed(error: unknown): void {
    this.finish(StatusCode.internal, "internal error");
    this.#context.onHandlerError(error, this.path);
  }
}
