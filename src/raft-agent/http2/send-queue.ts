/**
 * The sending half of flow control (RFC 9113 §5.2, §6.9): DATA goes straight into the output while both windows and
 * the socket allow; what they do not allow is copied and waits in its stream, and streams take turns frame by frame.
 */
import { FrameType, frameHeaderBytes, maxWindowBytes, writeFrameHeader } from "./frame.ts";
import { type Output, outputHighWaterBytes } from "./output.ts";
import type { PeerSettings } from "./peer-settings.ts";
import type { ServerStream } from "./server-stream.ts";

/** Frames up to this size are written in one reserved piece. */
const reservedBytesMax = 4_096;
/** The largest DATA frame, whatever the client takes: streams take turns frame by frame, and the output has a bound. */
const frameBytesMax = 65_536;

export class SendQueue {
  /** DATA frames were written since this was last set to false. */
  dataSent = false;
  readonly #output: Output;
  readonly #peer: PeerSettings;
  readonly #sendTrailers: (stream: ServerStream, block: Buffer) => void;
  #window: number;
  /** Streams with queued bytes and an open window, in turn order. */
  #ready: ServerStream[] = [];
  #pumping = false;
  #queuedBytes = 0;

  /** `sendTrailers` ends a stream whose queue has run empty. */
  constructor(
    output: Output,
    peer: PeerSettings,
    window: number,
    sendTrailers: (stream: ServerStream, block: Buffer) => void,
  ) {
    this.#output = output;
    this.#peer = peer;
    this.#window = window;
    this.#sendTrailers = sendTrailers;
  }

  /** Bytes that wait in streams. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Sends or queues `prefix` and `body` as one piece. False when something had to be queued. */
  send(stream: ServerStream, prefix: Uint8Array, body: Uint8Array): boolean {
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
    this.#queuedBytes += length;
    if (stream.queue === undefined) stream.queue = [copy];
    else stream.queue.push(copy);
    this.list(stream);
    this.pump();
    return stream.queue === undefined;
  }

  #writeNow(stream: ServerStream, prefix: Uint8Array, body: Uint8Array, length: number): void {
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

  /** Forgets what a stream has queued. */
  drop(stream: ServerStream): void {
    if (stream.queue === undefined) return;
    for (const piece of stream.queue) this.#queuedBytes -= piece.length;
    this.#queuedBytes += stream.queueOffset;
    stream.queue = undefined;
    stream.queueOffset = 0;
  }

  /** Notes that a stream may be able to send queued bytes. */
  list(stream: ServerStream): void {
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
    // A stream that runs empty may send again from within; the loop that is under way then takes care of it.
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
  }

  #writeFrame(stream: ServerStream): void {
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
    this.#queuedBytes -= length;
    if (length < left) return;
    stream.queueOffset = 0;
    queue.shift();
    if (queue.length === 0) stream.queue = undefined;
  }

  #ranEmpty(stream: ServerStream): void {
    const trailers = stream.queuedTrailers;
    if (trailers === undefined) stream.onDrain();
    else {
      stream.queuedTrailers = undefined;
      this.#sendTrailers(stream, trailers);
    }
  }
}
