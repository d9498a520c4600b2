/**
 * The unit exchanged by peers: length, type, body (README.md). The reader accepts arbitrary chunks from the socket and
 * returns whole frames, without a copy where a frame is contained in one chunk.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import { getUint32 } from "../wal/byte-codec.ts";

export const frameType = {
  message: 1,
  ping: 2,
  pong: 3,
  request: 4,
  response: 5,
  snapshotStart: 6,
  snapshotChunk: 7,
  snapshotEnd: 8,
  snapshotResult: 9,
  snapshotOffer: 10,
} as const;

/** Length (of type and body) and type. */
export const frameHeaderBytes = 5;

/**
 * One whole frame: its body is `bytes[start, end)`. With `owned` the bytes are exclusive to this frame and may be
 * kept; otherwise they are part of a larger chunk and valid only until the callback returns.
 */
export type OnFrame = (type: number, bytes: Uint8Array, start: number, end: number, owned: boolean) => void;

export class FrameReader {
  readonly #frameBytesMax: number;
  readonly #onFrame: OnFrame;
  /** The chunks of an incomplete frame, and their total size. */
  #pieces: Uint8Array[] = [];
  #size = 0;
  /** The size of the incomplete frame with its length field, once that is known. */
  #wanted = 4;
  #stopped = false;

  constructor(frameBytesMax: number, onFrame: OnFrame) {
    this.#frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /** No more frames are returned, not even those that have already arrived. */
  stop(): void {
    this.#stopped = true;
    this.#pieces = [];
  }

  /** @throws HaplanError `transport/bad-frame` for an invalid length. */
  push(piece: Uint8Array): void {
    if (this.#pieces.length === 0) {
      this.#read(piece, false);
      return;
    }
    this.#pieces.push(piece);
    this.#size += piece.length;
    if (this.#size < this.#wanted) return;
    const joined = Buffer.concat(this.#pieces, this.#size);
    this.#pieces = [];
    this.#read(joined, true);
  }

  #read(bytes: Uint8Array, joined: boolean): void {
    let at = 0;
    let owned = joined;
    while (!this.#stopped) {
      const left = bytes.length - at;
      this.#wanted = left < 4 ? 4 : 4 + this.#checkedLength(getUint32(bytes, at));
      if (left < this.#wanted) break;
      const end = at + this.#wanted;
      this.#onFrame(bytes[at + 4]!, bytes, at + frameHeaderBytes, end, owned);
      // Later frames in the same chunk share it: keeping such a frame requires a copy, or it would retain the chunk.
      owned = false;
      at = end;
    }
    if (at === bytes.length || this.#stopped) return;
    this.#pieces = [at === 0 ? bytes : bytes.subarray(at)];
    this.#size = bytes.length - at;
  }

  #checkedLength(length: number): number {
    if (length >= 1 && length <= this.#frameBytesMax) return length;
    throw new HaplanError(
      "transport/bad-frame",
      `a frame of ${length} bytes, but at most ${this.#frameBytesMax} are allowed`,
    );
  }
}
