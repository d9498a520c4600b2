/**
 * Assembles a header block that a client spreads over HEADERS and CONTINUATION frames (RFC 9113 §4.3, §6.10), bounded
 * in bytes and in frames (CVE-2024-27316: endless CONTINUATION).
 */
import { ErrorCode } from "./frame.ts";
import { ConnectionError } from "./http2-error.ts";

const continuationsMax = 64;

export class HeaderAssembly {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly #bytesMax: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(streamId: number, endStream: boolean, bytesMax: number) {
    this.streamId = streamId;
    this.endStream = endStream;
    this.#bytesMax = bytesMax;
  }

  /**
   * Copies one fragment.
   * @throws ConnectionError ENHANCE_YOUR_CALM above the limits.
   */
  add(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > this.#bytesMax || this.#parts.length > continuationsMax)
      throw new ConnectionError(ErrorCode.enhanceYourCalm, "endless header block");
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
  }

  block(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/**
 * The end of the content of a DATA or HEADERS payload, without padding (RFC 9113 §6.1); it starts at `start + 1`.
 * @throws ConnectionError PROTOCOL_ERROR when the padding takes the whole payload or more.
 */
export function endWithoutPadding(bytes: Buffer, start: number, end: number): number {
  const padding = start < end ? bytes[start]! : 0;
  if (start >= end || padding >= end - start)
    throw new ConnectionError(ErrorCode.protocolError, "padding as long as the frame");
  return end - padding;
}
