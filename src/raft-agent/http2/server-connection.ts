/**
 * One HTTP/2 connection, from the server's side (RFC 9113): parses frames, manages streams and windows, and ends with
 * GOAWAY. `connection-control.ts` handles what concerns no stream, and the streams created by the options'
 * `createStream` handle requests. README.md has the conformance table.
 */
import type { Socket } from "node:net";
import { ClosedStreamGrace } from "./closed-stream-grace.ts";
import { ConnectionControl } from "./connection-control.ts";
// biome-ignore lint/suspicious/noImportCycles: a connection, its streams and its owner know each other; only types.
import type { ConnectionOwner } from "./connection-owner.ts";
import { ConnectionSender } from "./connection-sender.ts";
import { TokenBucket } from "./flood-guard.ts";
import { defaultMaxFrameBytes, ErrorCode, Flag, FrameType, goawayFrame, maxWindowBytes, readUint32 } from "./frame.ts";
import { FrameParser } from "./frame-parser.ts";
import { endWithoutPadding } from "./header-assembly.ts";
import { HeaderReader } from "./header-reader.ts";
import { encodeStateless } from "./hpack-encoder.ts";
import { ConnectionError, floodError, frameSizeError, protocolError } from "./http2-error.ts";
import { defaultPeerSettings, type PeerSettings } from "./peer-settings.ts";
import { type RequestHead, validateTrailers } from "./request-head.ts";
// biome-ignore lint/suspicious/noImportCycles: a connection, its streams and its owner know each other; only types.
import type { ServerStream } from "./server-stream.ts";

const status431 = encodeStateless([[":status", "431"]]);
/** The time limit for a client to close after our GOAWAY for an error. */
const lingerMs = 1_000;

export class ServerConnection {
  readonly options: ConnectionOwner;
  readonly socket: Socket;
  readonly remoteAddress: string;
  /** Common name of the client's verified certificate, or undefined. */
  readonly clientCommonName: string | undefined;
  readonly peerSettings: PeerSettings = defaultPeerSettings();
  readonly streamWindowBytes: number;
  /** Request bytes that the layer above buffers until a message is complete; it maintains the count and the limit. */
  bufferedRequestBytes = 0;
  readonly sender: ConnectionSender<ServerStream>;
  readonly #headers: HeaderReader;
  readonly #parser: FrameParser;
  readonly #streams = new Map<number, ServerStream>();
  readonly #late = new ClosedStreamGrace();
  readonly #resets: TokenBucket;
  readonly #windowUpdates: TokenBucket;
  readonly #control: ConnectionControl;
  #lastStreamId = 0;
  #receiveWindow: number;
  /** The client has received our GOAWAY: none of its streams is in flight unknown to us. */
  #drainAcknowledged = false;
  /** No more frames are read: GOAWAY for an error was sent, or the socket is closed. */
  #ended = false;
  #closedReported = false;

  constructor(socket: Socket, options: ConnectionOwner, clientCommonName?: string) {
    const { limits } = options;
    this.options = options;
    this.socket = socket;
    this.remoteAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    this.clientCommonName = clientCommonName;
    this.streamWindowBytes = limits.streamWindowBytes;
    this.#receiveWindow = limits.connectionWindowBytes;
    this.sender = new ConnectionSender(socket, options, this.peerSettings, this.#onLocalEnd, () => this.cutOff());
    this.#headers = new HeaderReader(limits.headerTableBytes, limits.maxHeaderListBytes);
    this.#parser = new FrameParser(this, defaultMaxFrameBytes);
    this.#resets = new TokenBucket(limits.flood.resets, options.nowMs);
    this.#windowUpdates = new TokenBucket(limits.flood.windowUpdates, options.nowMs);
    this.#control = new ConnectionControl(this, {
      windowChanged: (change) => this.#adjustStreamWindows(change),
      drainAcknowledged: () => this.#onDrainAcknowledged(),
    });
    socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => this.#onSocketClose());
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /**
   * The memory held by responses to this client, which `cutOff` frees: nothing once the connection is closing anyway.
   */
  get heldBytes(): number {
    return this.#ended ? 0 : this.sender.heldBytes;
  }

  /** Resets a stream with RST_STREAM (§6.4), for a reason of the server. The stream's `onAbort` is not called. */
  resetStream(stream: ServerStream, code: ErrorCode): void {
    if (this.#streams.get(stream.id) !== stream) return;
    if (!stream.remoteClosed) this.#late.expect(stream.id);
    this.#forget(stream);
    this.sender.reset(stream.id, code);
  }

  /** Reopens the window of a stream that set `readingPaused`. */
  resumeReading(stream: ServerStream): void {
    if (!stream.readingPaused) return;
    stream.readingPaused = false;
    if (!stream.remoteClosed && !stream.localClosed) this.#creditStream(stream);
  }

  /** The client knows that it must use another server: it sends no more calls here. */
  get hasAcknowledgedDrain(): boolean {
    return this.#drainAcknowledged;
  }

  // ---- closing --------------------------------------------------------------------------------------------------

  /**
   * Graceful shutdown (§6.8): announces it, serves the streams that were in flight when the client received it, and
   * closes when the last one is done.
   */
  drain(): void {
    if (!this.#ended) this.#control.drain();
  }

  /** Closes at once; streams receive `onAbort`. */
  destroy(): void {
    this.#ended = true;
    this.socket.destroy();
  }

  /** Closes a connection whose client does not read. Its queue is dropped in this turn, not when the socket closes. */
  cutOff(): void {
    if (this.#closedReported) return;
    const { heldBytes } = this.sender;
    this.destroy();
    this.sender.discard();
    this.#abortStreams();
    this.options.onCutOff(this, heldBytes);
  }

  #fail(code: ErrorCode, message: string): void {
    if (this.#ended) return;
    this.sender.frame(goawayFrame(this.#lastStreamId, code, message));
    this.#end();
    this.#abortStreams();
  }

  #end(): void {
    this.#ended = true;
    this.sender.finish();
    setTimeout(() => this.socket.destroy(), lingerMs).unref();
  }

  #closeWhenDrained(): void {
    if (this.#drainAcknowledged && this.#streams.size === 0 && !this.#ended) this.#end();
  }

  readonly #onLocalEnd = (stream: ServerStream): void => {
    if (!stream.remoteClosed) this.#late.expect(stream.id);
    this.#forget(stream);
  };

  #forget(stream: ServerStream): void {
    stream.localClosed = true;
    this.sender.queue.drop(stream);
    this.#streams.delete(stream.id);
    if (this.#drainAcknowledged) this.#closeWhenDrained();
  }

  #abortStreams(): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) {
      stream.localClosed = true;
      this.sender.queue.drop(stream);
      stream.onAbort();
    }
  }

  #onSocketClose(): void {
    this.#ended = true;
    this.#control.stop();
    this.sender.discard();
    this.#abortStreams();
    if (this.#closedReported) return;
    this.#closedReported = true;
    this.options.onClosed(this);
  }

  // ---- closing --------------------------------------------------------------------------------------------------

  #onChunk(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      const at = this.#control.receive(chunk);
      if (at < chunk.length) this.#parser.feed(chunk, at);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      this.#fail(error.code, error.message);
    }
  }

  /** One frame from the parser. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.#headers.assembling) this.#onContinuation(type, flags, streamId, bytes, start, end);
    else if (type === FrameType.data) this.#onData(flags, streamId, bytes, start, end);
    else if (type === FrameType.headers) this.#onHeaders(flags, streamId, bytes, start, end);
    else this.#onOther(type, flags, streamId, bytes, start, end);
    return !this.#ended;
  }

  #onOther(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#control.settingsSeen && type !== FrameType.settings) throw protocolError("first frame is not SETTINGS");
    switch (type) {
      case FrameType.windowUpdate:
        this.#onWindowUpdate(streamId, bytes, start, end);
        break;
      case FrameType.rstStream:
        this.#onRstStream(streamId, start, end);
        break;
      case FrameType.settings:
        this.#control.onSettings(flags, streamId, bytes, start, end);
        break;
      case FrameType.ping:
        this.#control.onPing(flags, streamId, bytes, start, end);
        break;
      case FrameType.priority:
        this.#onPriority(streamId, start, end);
        break;
      case FrameType.goaway:
        this.#control.onGoaway(streamId, start, end);
        break;
      case FrameType.pushPromise:
        throw protocolError("PUSH_PROMISE from a client");
      case FrameType.continuation:
        throw protocolError("CONTINUATION without HEADERS");
      default:
        this.#control.charge("unknown frame");
    }
  }

  /** Validated and otherwise ignored (§5.3.2). */
  #onPriority(streamId: number, start: number, end: number): void {
    if (streamId === 0) throw protocolError("PRIORITY on stream 0");
    this.#control.charge("PRIORITY");
    if (end - start !== 5) this.#streamError(streamId, ErrorCode.frameSizeError);
  }

  #onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#control.settingsSeen) throw protocolError("first frame is not SETTINGS");
    if ((streamId & 1) === 0) throw protocolError(`HEADERS on stream ${streamId}`);
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      to = endWithoutPadding(bytes, start, end);
      from++;
    }
    if ((flags & Flag.priority) !== 0) from += 5;
    if (from > to) throw frameSizeError("HEADERS");
    const endStream = (flags & Flag.endStream) !== 0;
    if ((flags & Flag.endHeaders) !== 0) this.#onHeaderBlock(streamId, endStream, bytes, from, to);
    else this.#headers.begin(streamId, endStream, bytes, from, to);
  }

  #onContinuation(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const assembly = this.#headers.continue(type, flags, streamId, bytes, start, end);
    if (assembly === undefined) return;
    const block = assembly.block();
    this.#onHeaderBlock(streamId, assembly.endStream, block, 0, block.length);
  }

  #onHeaderBlock(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    if (streamId <= this.#lastStreamId) this.#onTrailers(streamId, endStream, bytes, start, end);
    else {
      this.#lastStreamId = streamId;
      this.#openStream(streamId, endStream, this.#headers.readHead(bytes, start, end));
    }
  }

  #openStream(streamId: number, endStream: boolean, head: RequestHead): void {
    const { tooLarge } = head.fields;
    const malformed = head.problem !== undefined || (endStream && head.contentLength > 0);
    const full = this.#drainAcknowledged || this.#streams.size >= this.options.limits.maxConcurrentStreams;
    if (full || (malformed && !tooLarge)) {
      if (!endStream) this.#late.expect(streamId);
      this.sender.reset(streamId, full ? ErrorCode.refusedStream : ErrorCode.protocolError);
      this.#spendReset();
      return;
    }
    const stream = this.options.createStream(this, streamId, head);
    stream.remoteClosed = endStream;
    this.#streams.set(streamId, stream);
    if (!tooLarge) stream.onOpen(endStream);
    else {
      this.sender.block(stream, status431, true);
      this.#spendReset();
    }
  }

  /** A second header block on a stream: trailers (§8.1). It is decoded in any case, to keep the table in sync. */
  #onTrailers(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const fields = this.#headers.readTrailers(bytes, start, end);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (!this.#late.mayCome(streamId))
        throw new ConnectionError(ErrorCode.streamClosed, `HEADERS on closed stream ${streamId}`);
      if (endStream) this.#late.ended(streamId);
    } else if (stream.remoteClosed) this.#streamError(streamId, ErrorCode.streamClosed);
    else {
      const whole = stream.head.contentLength < 0 || stream.head.contentLength === stream.receivedBytes;
      if (!endStream || !whole || fields.tooLarge || validateTrailers(fields) !== undefined)
        this.#streamError(streamId, ErrorCode.protocolError);
      else {
        stream.remoteClosed = true;
        stream.onData(bytes, 0, 0, true);
      }
    }
  }

  #onData(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const stream = this.#streams.get(streamId);
    const endStream = (flags & Flag.endStream) !== 0;
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      to = endWithoutPadding(bytes, start, end);
      from++;
    }
    // Padding counts too (§6.9.1), and so do frames for closed streams.
    this.#consumeConnectionWindow(end - start);
    if (stream === undefined || stream.remoteClosed) {
      this.#onDataTooLate(streamId, stream, endStream);
      return;
    }
    if (from === to && !endStream) this.#control.charge("empty DATA");
    if (!this.#consumeStreamWindow(stream, end - start, endStream)) return;
    stream.receivedBytes += to - from;
    const expected = stream.head.contentLength;
    if (expected >= 0 && (stream.receivedBytes > expected || (endStream && stream.receivedBytes !== expected)))
      this.#streamError(streamId, ErrorCode.protocolError);
    else {
      stream.remoteClosed = endStream;
      stream.onData(bytes, from, to, endStream);
    }
  }

  #onDataTooLate(streamId: number, stream: ServerStream | undefined, endStream: boolean): void {
    if (stream !== undefined) {
      this.#streamError(streamId, ErrorCode.streamClosed);
      return;
    }
    if (streamId === 0 || streamId > this.#lastStreamId || (streamId & 1) === 0)
      throw protocolError(`DATA on idle stream ${streamId}`);
    if (!this.#late.mayCome(streamId))
      throw new ConnectionError(ErrorCode.streamClosed, `DATA on closed stream ${streamId}`);
    if (endStream) this.#late.ended(streamId);
  }

  #consumeConnectionWindow(length: number): void {
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0)
      throw new ConnectionError(ErrorCode.flowControlError, "DATA exceeds the connection's window");
    const windowMax = this.options.limits.connectionWindowBytes;
    if (this.#receiveWindow > windowMax / 2) return;
    this.sender.windowUpdate(0, windowMax - this.#receiveWindow);
    this.#receiveWindow = windowMax;
  }

  #consumeStreamWindow(stream: ServerStream, length: number, endStream: boolean): boolean {
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) {
      this.#streamError(stream.id, ErrorCode.flowControlError);
      return false;
    }
    if (!endStream && !stream.readingPaused) this.#creditStream(stream);
    return true;
  }

  /** Once half of the window is used: an update for every frame would cost more than it gains. */
  #creditStream(stream: ServerStream): void {
    if (stream.receiveWindow > this.streamWindowBytes / 2) return;
    this.sender.windowUpdate(stream.id, this.streamWindowBytes - stream.receiveWindow);
    stream.receiveWindow = this.streamWindowBytes;
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError("WINDOW_UPDATE");
    if (!this.#windowUpdates.take()) throw floodError("WINDOW_UPDATE");
    const increment = readUint32(bytes, start) & maxWindowBytes;
    if (streamId === 0) {
      if (increment === 0) throw protocolError("WINDOW_UPDATE of 0");
      if (!this.sender.queue.credit(increment))
        throw new ConnectionError(ErrorCode.flowControlError, "connection window above 2^31-1");
      this.sender.pump();
      return;
    }
    this.#assertNotIdle(streamId, "WINDOW_UPDATE");
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    stream.sendWindow += increment;
    if (increment === 0) this.#streamError(streamId, ErrorCode.protocolError);
    else if (stream.sendWindow > maxWindowBytes) this.#streamError(streamId, ErrorCode.flowControlError);
    else if (stream.queue !== undefined) {
      this.sender.queue.list(stream);
      this.sender.pump();
    }
  }

  #onRstStream(streamId: number, start: number, end: number): void {
    if (end - start !== 4) throw frameSizeError("RST_STREAM");
    this.#assertNotIdle(streamId, "RST_STREAM");
    this.#spendReset();
    this.#late.ended(streamId);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    this.#forget(stream);
    stream.onAbort();
  }

  #assertNotIdle(streamId: number, what: string): void {
    if (streamId === 0 || streamId > this.#lastStreamId || (streamId & 1) === 0)
      throw protocolError(`${what} on idle stream ${streamId}`);
  }

  #adjustStreamWindows(change: number): void {
    for (const stream of this.#streams.values()) {
      stream.sendWindow += change;
      if (stream.sendWindow > maxWindowBytes)
        throw new ConnectionError(ErrorCode.flowControlError, "SETTINGS_INITIAL_WINDOW_SIZE overflows a window");
      this.sender.queue.list(stream);
    }
    this.sender.pump();
  }

  #onDrainAcknowledged(): void {
    if (this.#drainAcknowledged) return;
    this.#drainAcknowledged = true;
    this.sender.frame(goawayFrame(this.#lastStreamId, ErrorCode.noError, "shutting down"));
    this.#closeWhenDrained();
  }

  #spendReset(): void {
    if (!this.#resets.take()) throw floodError("resets");
  }

  /** A client error that ends one stream (§5.4.2). */
  #streamError(streamId: number, code: ErrorCode): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) {
      if (!stream.remoteClosed) this.#late.expect(streamId);
      this.#forget(stream);
    }
    this.sender.reset(streamId, code);
    stream?.onAbort();
    this.#spendReset();
  }
}
