/**
 * A length-prefixed message whose bytes arrive in more than one DATA frame (gRPC over HTTP/2,
 * "Length-Prefixed-Message").
 */
import { readUint32 } from "../http2/frame.ts";

export const messagePrefixBytes = 5;
/** The initial capacity of a message: a length that is only claimed reserves no memory. */
const firstCapacityBytes = 4_096;

export class PartialMessage {
  readonly #prefix = new Uint8Array(messagePrefixBytes);
  #prefixUsed = 0;
  #body: Buffer = Buffer.alloc(0);
  #used = 0;

  /** True once the prefix is complete, so that `length` and `compressed` are valid. */
  get prefixKnown(): boolean {
    return this.#prefixUsed === messagePrefixBytes;
  }

  get length(): number {
    return readUint32(this.#prefix, 1);
  }

  get flags(): number {
    return this.#prefix[0]!;
  }

  get complete(): boolean {
    return this.prefixKnown && this.#used === this.length;
  }

  /** Bytes of memory held. */
  get capacityBytes(): number {
    return this.#body.length;
  }

  get body(): Buffer {
    return this.#body.subarray(0, this.#used);
  }

  /** Takes the missing part of the prefix and returns the offset after it. */
  takePrefix(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#prefixUsed < messagePrefixBytes) this.#prefix[this.#prefixUsed++] = bytes[at++]!;
    return at;
  }

  /** Takes the missing part of the body and returns the offset after it. */
  takeBody(bytes: Buffer, start: number, end: number): number {
    const taken = Math.min(end - start, this.length - this.#used);
    this.#makeRoom(this.#used + taken);
    bytes.copy(this.#body, this.#used, start, start + taken);
    this.#used += taken;
    return start + taken;
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#body.length) return;
    const wanted = Math.max(bytes, this.#body.length * 2, firstCapacityBytes);
    const grown = Buffer.allocUnsafe(Math.min(wanted, this.length));
    this.#body.copy(grown, 0, 0, this.#used);
    this.#body = grown;
  }
}
