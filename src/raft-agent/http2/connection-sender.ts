/** The sending side of a connection: responses, resets, window updates and control frames, combined into one write. */
import type { Socket } from "node:net";
import type { ConnectionOptions } from "./connection-options.ts";
import {
  defaultWindowBytes,
  ErrorCode,
  Flag,
  FrameType,
  frameHeaderBytes,
  writeFrameHeader,
  writeRstStream,
  writeWindowUpdate,
} from "./frame.ts";
import { HpackEncoder, type IndexedField, indexedFieldBytesMax } from "./hpack-encoder.ts";
import { Output } from "./output.ts";
import type { PeerSettings } from "./peer-settings.ts";
import { SendQueue } from "./send-queue.ts";
import type { SendingStream } from "./sending-stream.ts";

/** A peer that lets this many bytes of control frames accumulate is not reading and is cut off. */
const outputMaxBytes = 8 * 1_048_576;
/** The size of the header fragment in the HEADERS frame; the rest follows in CONTINUATION frames. */
const firstFragmentMax = 4_000;
/** Instead of a trailer block: an empty DATA frame ends the stream (RFC 9113 §8.1). */
const noTrailers = Buffer.alloc(0);

export class ConnectionSender<Stream extends SendingStream> {
  readonly encoder: HpackEncoder;
  readonly queue: SendQueue<Stream>;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #peer: PeerSettings;
  readonly #output: Output;
  readonly #onLocalEnd: (stream: Stream) => void;
  readonly #onOverload: () => void;
  #headersSent = false;
  #flushNoted = false;
  #ended = false;

  /**
   * `onLocalEnd` is called for every stream whose END_STREAM was written to the output, `onOverload` when more is
   * queued for the client than the limit: it closes the connection.
   */
  constructor(
    socket: Socket,
    options: ConnectionOptions,
    peer: PeerSettings,
    onLocalEnd: (stream: Stream) => void,
    onOverload: () => void,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#peer = peer;
    this.#onLocalEnd = onLocalEnd;
    this.#onOverload = onOverload;
    this.encoder = new HpackEncoder(options.indexedFields);
    this.#output = new Output(socket, options.memory.slabs, this.#onWritten);
    this.queue = new SendQueue(this.#output, peer, defaultWindowBytes, options, this.#sendQueuedTrailers);
  }

  /** Sends a block of indexed fields at once; `endStream` ends the stream. */
  indexed(stream: Stream, fields: readonly IndexedField[], endStream: boolean): void {
    if (stream.localClosed || this.#ended) return;
    const buffer = this.#output.reserve(frameHeaderBytes + 4 + fields.length * indexedFieldBytesMax);
    const frame = this.#output.position;
    let at = this.encoder.begin(buffer, frame + frameHeaderBytes);
    for (let i = 0; i < fields.length; i++) at = this.encoder.writeIndexed(buffer, at, fields[i]!);
    this.#finishHeaders(stream, buffer, frame, at, Flag.endHeaders, endStream);
    this.#afterHeaders(stream, endStream);
  }

  /** Sends a stateless block (see `encodeStateless`) at once. */
  block(stream: Stream, block: Buffer, endStream: boolean): void {
    if (stream.localClosed || this.#ended) return;
    const taken = Math.min(block.length, firstFragmentMax);
    const buffer = this.#output.reserve(frameHeaderBytes + 4 + taken);
    const frame = this.#output.position;
    const at = this.encoder.begin(buffer, frame + frameHeaderBytes);
    buffer.set(block.subarray(0, taken), at);
    const whole = taken === block.length;
    this.#finishHeaders(stream, buffer, frame, at + taken, whole ? Flag.endHeaders : 0, endStream);
    if (!whole) this.#continuations(stream.id, block.subarray(taken));
    this.#afterHeaders(stream, endStream);
  }

  /** Sends a body piece; false when part of it has to wait for the peer or the socket: `onDrain` follows. */
  data(stream: Stream, prefix: Uint8Array, body: Uint8Array): boolean {
    if (stream.localClosed || this.#ended) return true;
    if (!this.#makeRoom(prefix.length + body.length)) return true;
    this.#noteFlush();
    return this.queue.send(stream, prefix, body);
  }

  /** Sends one body piece given in parts, which are owned by the stream from now on. `bytes` is their length. */
  parts(stream: Stream, parts: Uint8Array[], bytes: number): void {
    if (stream.localClosed || this.#ended || !this.#makeRoom(bytes)) return;
    this.#noteFlush();
    this.queue.sendParts(stream, parts, bytes);
  }

  /** Ends the stream once its queue is sent: with indexed fields when the queue is empty, else with `stateless`. */
  trailers(stream: Stream, fields: readonly IndexedField[], stateless: Buffer): void {
    if (stream.queue !== undefined) stream.queuedTrailers = stateless;
    else if (fields.length > 0) this.indexed(stream, fields, true);
    else this.block(stream, stateless, true);
  }

  /** Ends a stream without trailers once its queue is sent. */
  end(stream: Stream): void {
    if (stream.localClosed || this.#ended) return;
    if (stream.queue !== undefined) stream.queuedTrailers = noTrailers;
    else this.#sendEnd(stream);
  }

  reset(streamId: number, code: ErrorCode): void {
    if (this.#ended) return;
    const buffer = this.#output.reserve(frameHeaderBytes + 4);
    this.#output.advance(writeRstStream(buffer, this.#output.position, streamId, code));
    this.#noteFlush();
  }

  windowUpdate(streamId: number, increment: number): void {
    if (this.#ended) return;
    const buffer = this.#output.reserve(frameHeaderBytes + 4);
    this.#output.advance(writeWindowUpdate(buffer, this.#output.position, streamId, increment));
    this.#noteFlush();
  }

  /** Whether DATA or HEADERS frames were written since the last call, in whatever way they were sent. */
  takeSent(): boolean {
    const sent = this.#headersSent || this.queue.dataSent;
    this.#headersSent = false;
    this.queue.dataSent = false;
    return sent;
  }

  /** A whole frame encoded elsewhere. */
  frame(frame: Buffer): void {
    if (this.#ended) return;
    this.#output.append(frame, 0, frame.length);
    this.#noteFlush();
  }

  /** The memory held by responses to this client. */
  get heldBytes(): number {
    return this.queue.waitingBytes + this.#output.heldBytes;
  }

  /** Resumes queued streams after a window has grown. */
  pump(): void {
    this.queue.pump();
    if (this.#output.pendingBytes > 0) this.#noteFlush();
  }

  /** One write for all frames of this event-loop turn. */
  onTickEnd(): void {
    this.#flushNoted = false;
    if (this.#output.pendingBytes > outputMaxBytes) this.#socket.destroy();
    else this.#output.flush();
  }

  /** Accepts no more frames, writes what is pending and then ends the socket. */
  finish(): void {
    this.#ended = true;
    this.#flushAndEnd();
  }

  /** The socket is closed. */
  discard(): void {
    this.#ended = true;
    this.#output.discard();
  }

  /**
   * A client that sends ever more requests and reads no responses is cut off before it exhausts memory. False when
   * this one was.
   */
  #makeRoom(bytes: number): boolean {
    const { limits, memory } = this.#options;
    if (this.queue.waitingBytes > limits.maxQueuedBytes) this.#onOverload();
    else if (!memory.hasRoomFor(bytes)) this.#options.freeMemory(bytes);
    return !this.#ended;
  }

  #finishHeaders(
    stream: Stream,
    buffer: Buffer,
    frame: number,
    end: number,
    endHeaders: number,
    endStream: boolean,
  ): void {
    const flags = endHeaders | (endStream ? Flag.endStream : 0);
    writeFrameHeader(buffer, frame, end - frame - frameHeaderBytes, FrameType.headers, flags, stream.id);
    this.#output.advance(end);
  }

  #continuations(streamId: number, rest: Buffer): void {
    const pieceMax = this.#peer.maxFrameBytes;
    for (let at = 0; at < rest.length; at += pieceMax) {
      const length = Math.min(pieceMax, rest.length - at);
      const flags = at + length === rest.length ? Flag.endHeaders : 0;
      const header = this.#output.reserve(frameHeaderBytes);
      const position = this.#output.position;
      this.#output.advance(writeFrameHeader(header, position, length, FrameType.continuation, flags, streamId));
      this.#output.append(rest, at, at + length);
    }
  }

  #afterHeaders(stream: Stream, endStream: boolean): void {
    this.#headersSent = true;
    this.#noteFlush();
    if (endStream) this.#afterEnd(stream);
  }

  #sendEnd(stream: Stream): void {
    const buffer = this.#output.reserve(frameHeaderBytes);
    const end = writeFrameHeader(buffer, this.#output.position, 0, FrameType.data, Flag.endStream, stream.id);
    this.#output.advance(end);
    this.queue.dataSent = true;
    this.#noteFlush();
    this.#afterEnd(stream);
  }

  #afterEnd(stream: Stream): void {
    // The response is complete before the request is: ask the client to stop (RFC 9113 §8.1).
    if (!stream.remoteClosed) this.reset(stream.id, ErrorCode.noError);
    this.#onLocalEnd(stream);
  }

  #noteFlush(): void {
    if (this.#flushNoted) return;
    this.#flushNoted = true;
    this.#options.flushScheduler.addFlush(this);
  }

  readonly #sendQueuedTrailers = (stream: Stream, block: Buffer): void => {
    if (block === noTrailers) this.#sendEnd(stream);
    else this.block(stream, block, true);
  };

  readonly #onWritten = (): void => {
    if (this.#ended) this.#flushAndEnd();
    else {
      this.queue.pump();
      this.#output.flush();
    }
  };

  #flushAndEnd(): void {
    this.#output.flush();
    if (this.#output.pendingBytes === 0) this.#socket.end();
  }
}
