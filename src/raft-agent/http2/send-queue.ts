/**
 * The sending half of flow control (RFC 9113 §5.2, §6.9): DATA is written straight to the output while both windows
 * and the socket allow; the rest is copied and queued in its stream, and streams alternate frame by frame.
 */
import type { ConnectionOptions } from "./connection-options.ts";
import { FrameType, frameHeaderBytes, maxWindowBytes, writeFrameHeader } from "./frame.ts";
import { type Output, outputHighWaterBytes } from "./output.ts";
import type { PeerSettings } from "./peer-settings.ts";
import type { SendingStream } from "./sending-stream.ts";

/** Frames up to this size are written in one reserved piece. */
const reservedBytesMax = 4_096;
/** The largest DATA frame, whatever the client accepts: streams alternate frame by frame, and the output is bounded. */
const frameBytesMax = 65_536;
/** The reading speed of a client is not evaluated before this time has passed. */
const speedKnownAfterMs = 1_000;
/** A stalled client is assumed to read this much per second: a small queue is no burden. */
const minBytesPerSecond = 65_536;

export class SendQueue<Stream extends SendingStream> {
  /** DATA frames were written since this was last set to false. */
  dataSent = false;
  readonly #output: Output;
  readonly #peer: PeerSettings;
  readonly #sendTrailers: (stream: Stream, block: Buffer) => void;
  #window: number;
  /** Streams with queued bytes and an open window, in round-robin order. */
  #ready: Stream[] = [];
  #pumping = false;
  readonly #options: Pick<ConnectionOptions, "memory" | "nowMs">;
  #waitingBytes = 0;
  #unpacedBytes = 0;
  #largeBytes = 0;
  /** When bytes started to wait, and how many have been sent since. */
  #waitingSinceMs = 0;
  #leftBytes = 0;
  #roomBytes = 0;
  #onRoom: (() => void) | undefined = undefined;

  /** `sendTrailers` ends a stream whose queue is empty. */
  constructor(
    output: Output,
    peer: PeerSettings,
    window: number,
    options: Pick<ConnectionOptions, "memory" | "nowMs">,
    sendTrailers: (stream: Stream, block: Buffer) => void,
  ) {
    this.#output = output;
    this.#peer = peer;
    this.#window = window;
    this.#options = options;
    this.#sendTrailers = sendTrailers;
  }

  /** Bytes held for streams until windows and socket admit them. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Those of streams that are not `paced`. */
  get unpacedBytes(): number {
    return this.#unpacedBytes;
  }

  /** The same without large responses. */
  get smallBytes(): number {
    return this.#unpacedBytes - this.#largeBytes;
  }

  /**
   * Calls `task` once when at most `roomBytes` of streams that are not paced wait; called within `pump`, so it must
   * only take a note.
   */
  whenRoom(roomBytes: number, task: () => void): void {
    this.#roomBytes = roomBytes;
    this.#onRoom = task;
  }

  /**
   * How long the client takes to read the queue, at its speed since the queue started; 0 while it is too early to
   * know.
   */
  get secondsToRead(): number {
    const waitingMs = this.#options.nowMs() - this.#waitingSinceMs;
    if (this.#waitingBytes === 0 || waitingMs < speedKnownAfterMs) return 0;
    const bytesPerSecond = (this.#leftBytes / waitingMs) * 1_000;
    return this.#waitingBytes / Math.max(bytesPerSecond, minBytesPerSecond);
  }

  /** Sends or queues `prefix` and `body` as one piece. False when something had to be queued. */
  send(stream: Stream, prefix: Uint8Array, body: Uint8Array): boolean {
    const length = prefix.length + body.length;
    if (
      stream.queue === undefined &&
      length <= frameBytesMax &&
      length <= this.#peer.maxFrameBytes &&
      length <= stream.sendWindow &&
      length <= this.#window &&
      this.#output.pendingBytes < outputHighWaterBytes
    ) {
      this.#writeNow(stream, prefix, body, length);
      return true;
    }
    const copy = Buffer.allocUnsafe(length);
    copy.set(prefix);
    copy.set(body, prefix.length);
    this.#hold(stream, length);
    if (stream.queue === undefined) stream.queue = [copy];
    else stream.queue.push(copy);
    this.list(stream);
    this.pump();
    return stream.queue === undefined;
  }

  /** Queues one piece given in parts, without copying them. */
  sendParts(stream: Stream, parts: Uint8Array[], bytes: number): void {
    stream.large = true;
    this.#hold(stream, bytes);
    if (stream.queue === undefined) stream.queue = parts;
    else stream.queue.push(...parts);
    this.list(stream);
    this.pump();
  }

  #hold(stream: Stream, bytes: number): void {
    if (this.#waitingBytes === 0) {
      this.#waitingSinceMs = this.#options.nowMs();
      this.#leftBytes = 0;
    }
    this.#count(stream, bytes);
  }

  #count(stream: Stream, bytes: number): void {
    this.#waitingBytes += bytes;
    this.#options.memory.waitingBytes += bytes;
    if (!stream.paced) this.#unpacedBytes += bytes;
    if (stream.large) this.#largeBytes += bytes;
  }

  #writeNow(stream: Stream, prefix: Uint8Array, body: Uint8Array, length: number): void {
    const output = this.#output;
    this.dataSent = true;
    stream.sendWindow -= length;
    this.#window -= length;
    const whole = frameHeaderBytes + length;
    const buffer = output.reserve(whole <= reservedBytesMax ? whole : frameHeaderBytes + prefix.length);
    let at = writeFrameHeader(buffer, output.position, length, FrameType.data, 0, stream.id);
    for (let i = 0; i < prefix.length; i++) buffer[at++] = prefix[i]!;
    if (whole <= reservedBytesMax) {
      buffer.set(body, at);
      output.advance(at + body.length);
      return;
    }
    output.advance(at);
    output.append(body, 0, body.length);
  }

  /** Drops the queue of a stream. */
  drop(stream: Stream): void {
    if (stream.queue === undefined) return;
    for (const piece of stream.queue) this.#count(stream, -piece.length);
    stream.queue = undefined;
    stream.queueOffset = 0;
    this.#noteRoom();
  }

  /** Lists a stream that may be able to send queued bytes. */
  list(stream: Stream): void {
    if (stream.listed || stream.queue === undefined || stream.sendWindow <= 0) return;
    stream.listed = true;
    this.#ready.push(stream);
  }

  /** Credits the connection's window; false when it would overflow (§6.9.1). */
  credit(bytes: number): boolean {
    this.#window += bytes;
    return this.#window <= maxWindowBytes;
  }

  /** Writes queued frames, stream by stream, while windows and socket allow. */
  pump(): void {
    // A stream whose queue becomes empty may send again from within; the running loop then handles it.
    if (this.#pumping) return;
    this.#pumping = true;
    let turn = 0;
    while (turn < this.#ready.length && this.#window > 0 && this.#output.pendingBytes < outputHighWaterBytes) {
      const stream = this.#ready[turn++]!;
      stream.listed = false;
      if (stream.queue === undefined || stream.localClosed) continue;
      this.#writeFrame(stream);
      if (stream.queue === undefined) this.#ranEmpty(stream);
      else this.list(stream);
    }
    if (turn > 0) this.#ready.splice(0, turn);
    this.#pumping = false;
    this.#noteRoom();
  }

  #noteRoom(): void {
    const task = this.#onRoom;
    if (task === undefined || this.#unpacedBytes > this.#roomBytes) return;
    this.#onRoom = undefined;
    task();
  }

  #writeFrame(stream: Stream): void {
    const queue = stream.queue!;
    const head = queue[0]!;
    const left = head.length - stream.queueOffset;
    const length = Math.min(left, stream.sendWindow, this.#window, this.#peer.maxFrameBytes, frameBytesMax);
    if (length <= 0) return;
    this.dataSent = true;
    stream.sendWindow -= length;
    this.#window -= length;
    const buffer = this.#output.reserve(frameHeaderBytes);
    this.#output.advance(writeFrameHeader(buffer, this.#output.position, length, FrameType.data, 0, stream.id));
    this.#output.append(head, stream.queueOffset, stream.queueOffset + length);
    stream.queueOffset += length;
    this.#leftBytes += length;
    if (length < left) return;
    // A piece is held as long as any of it is.
    this.#count(stream, -head.length);
    stream.queueOffset = 0;
    queue.shift();
    if (queue.length === 0) stream.queue = undefined;
  }

  #ranEmpty(stream: Stream): void {
    const trailers = stream.queuedTrailers;
    if (trailers === undefined) stream.onDrain();
    else {
      stream.queuedTrailers = undefined;
      this.#sendTrailers(stream, trailers);
    }
  }
}
