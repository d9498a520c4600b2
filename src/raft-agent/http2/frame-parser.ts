/**
 * Splits a byte stream into frames without allocating an object per frame. Frames contained in one chunk are delivered
 * in place; only a frame split by a chunk boundary is copied into its own buffer, so that work is linear in bytes
 * however small the chunks are.
 */
import { ErrorCode, frameHeaderBytes, readUint32 } from "./frame.ts";
import { ConnectionError } from "./http2-error.ts";

/** Receives each frame: its payload is `bytes[start, end)`, valid only during the call. False stops the parser. */
export type FrameSink = {
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean;
};

export class FrameParser {
  readonly #sink: FrameSink;
  readonly #maxFrameBytes: number;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  /** The split frame, header included; undefined while its header is still incomplete. */
  #split: Buffer | undefined = undefined;
  #gathered = 0;

  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * Parses `chunk` from `at` on.
   * @throws ConnectionError FRAME_SIZE_ERROR for a frame above the limit (RFC 9113 §4.2).
   */
  feed(chunk: Buffer, at = 0): void {
    let next = at;
    if (this.#gathered > 0) {
      next = this.#completeSplit(chunk, next);
      if (next < 0) return;
    }
    const end = chunk.length;
    while (end - next >= frameHeaderBytes) {
      const length = this.#lengthAt(chunk, next);
      const start = next + frameHeaderBytes;
      if (start + length > end) break;
      next = start + length;
      const streamId = readUint32(chunk, start - 4) & 0x7fff_ffff;
      if (!this.#sink.onFrame(chunk[start - 6]!, chunk[start - 5]!, streamId, chunk, start, next)) return;
    }
    if (next < end) this.#keepRest(chunk, next);
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    if (length > this.#maxFrameBytes)
      throw new ConnectionError(ErrorCode.frameSizeError, `frame of ${length} bytes, at most ${this.#maxFrameBytes}`);
    return length;
  }

  #keepRest(chunk: Buffer, at: number): void {
    const rest = chunk.length - at;
    this.#gathered = rest;
    if (rest < frameHeaderBytes) {
      chunk.copy(this.#header, 0, at);
      return;
    }
    this.#split = Buffer.allocUnsafe(frameHeaderBytes + this.#lengthAt(chunk, at));
    chunk.copy(this.#split, 0, at);
  }

  /** Returns the offset after the split frame, or -1 when the chunk is used up (or the sink stopped). */
  #completeSplit(chunk: Buffer, at: number): number {
    let next = at;
    if (this.#split === undefined) {
      const taken = Math.min(frameHeaderBytes - this.#gathered, chunk.length - next);
      chunk.copy(this.#header, this.#gathered, next, next + taken);
      this.#gathered += taken;
      next += taken;
      if (this.#gathered < frameHeaderBytes) return -1;
      this.#split = Buffer.allocUnsafe(frameHeaderBytes + this.#lengthAt(this.#header, 0));
      this.#header.copy(this.#split, 0);
    }
    const frame = this.#split;
    const taken = Math.min(frame.length - this.#gathered, chunk.length - next);
    chunk.copy(frame, this.#gathered, next, next + taken);
    this.#gathered += taken;
    next += taken;
    if (this.#gathered < frame.length) return -1;
    this.#split = undefined;
    this.#gathered = 0;
    const streamId = readUint32(frame, 5) & 0x7fff_ffff;
    return this.#sink.onFrame(frame[3]!, frame[4]!, streamId, frame, frameHeaderBytes, frame.length) ? next : -1;
  }
}
