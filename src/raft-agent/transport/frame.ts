/**
 * The unit that peers exchange: length, type, body (README.md). The reader takes whatever pieces the socket delivers and
 * hands out whole frames, without a copy where a frame lies within one piece.
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
 * One whole frame: its body is `bytes[start, end)`. With `owned` the bytes belong to this frame alone and may be kept;
 * otherwise they are part of a larger piece and valid only until the callback returns.
 */
export type OnFrame = (type: number, bytes: Uint8Array, start: number, end: number, owned: boolean) => void;

export class FrameReader {
  readonly #frameBytesMax: number;
  readonly #onFrame: OnFrame;
  /** Pieces of a frame that is not complete, and how many bytes they are. */
  #pieces: Uint8Array[] = [];
  #size = 0;
  /** Bytes of the incomplete frame with its length field, once that is known. */
  #wanted = 4;
  #stopped = false;

  constructor(frameBytesMax: number, onFrame: OnFrame) {
    this.#frameBytesMax = frameBytesMax;
    this.#onFrame = onFrame;
  }

  /** No frame is handed out any more, not even one that has already arrived. */
  stop(): void {
    this.#stopped = true;
    this.#pieces = [];
  }

  /** @throws HaplanError `transport/bad-frame` for a length that no frame can have. */
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
      // What follows in the same piece shares it: whoever keeps such a frame must copy it, or it would pin the piece.
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
      `a frame of ${length} bytes, at most ${this.#frameBytesMax} are allowed`,
    );
  }
}
