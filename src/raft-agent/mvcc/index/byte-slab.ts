/**
 * Copies small byte strings into shared slabs: one allocation for hundreds of values, and none of them retains the
 * socket buffer it came from. A slab lives as long as any of its values.
 */
const slabSize = 64 * 1024;
const ownAbove = 8 * 1024;

export class ByteSlab {
  #slab = new Uint8Array(0);
  #used = 0;

  /** A copy of `bytes`, or of their first `length`. */
  copy(bytes: Uint8Array, length: number = bytes.length): Uint8Array {
    // byteLength, not length: LMDB returns a large buffer whose `length` it sets to the value's.
    const source = bytes.byteLength === length ? bytes : bytes.subarray(0, length);
    if (length > ownAbove) return Uint8Array.prototype.slice.call(source);
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(slabSize);
      this.#used = 0;
    }
    const copy = this.#slab.subarray(this.#used, this.#used + length);
    copy.set(source);
    this.#used += length;
    return copy;
  }
}
