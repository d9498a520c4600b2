/**
 * Slow unary requests, with their content. Which ones are slow is known only at their end, when their bytes are gone,
 * so the bytes of all are kept for a while: in a ring, without an allocation for any of them.
 */

export type SlowRequest = {
  readonly path: string;
  readonly remoteAddress: string;
  readonly tookMs: number;
  /** Null when the request was too large, or is overwritten by now. */
  readonly request: Uint8Array | null;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** The result of `countResponse`; null when there was no response, or it was too large to inspect. */
  readonly responseCount: number | null;
};

export type SlowRequestOptions = {
  readonly thresholdMs: number;
  /** The count in the response, asked only of requests that are already slow. */
  countResponse(path: string, message: Uint8Array): number | null;
  onSlow(request: SlowRequest): void;
};

const ringBytes = 2 * 1_048_576;
/** The rest of a larger request is a value, which is not logged, or a transaction too long to read. */
const keptBytesMax = 4_096;

export class RecentRequests {
  readonly #ring = new Uint8Array(ringBytes);
  /** Bytes written since the start, gaps at the end of the ring included. */
  #written = 0;

  /** Returns its position, or -1 when it is too large. */
  keep(request: Uint8Array): number {
    const { length } = request;
    if (length > keptBytesMax) return -1;
    const room = ringBytes - (this.#written % ringBytes);
    if (length > room) this.#written += room;
    const position = this.#written;
    this.#ring.set(request, position % ringBytes);
    this.#written += length;
    return position;
  }

  /** A copy, or null when it is overwritten. */
  read(position: number, length: number): Uint8Array | null {
    if (position < 0 || this.#written - position > ringBytes) return null;
    const start = position % ringBytes;
    return this.#ring.slice(start, start + length);
  }
}
