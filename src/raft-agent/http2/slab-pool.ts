/**
 * Recycled output buffers: a connection takes one when it has output and returns it when the socket has taken the
 * bytes. Two sizes, since most turns of most connections are small.
 */
export const smallSlabBytes = 4_096;
export const largeSlabBytes = 65_536;

export class SlabPool {
  readonly #small: Buffer[] = [];
  readonly #large: Buffer[] = [];
  readonly #keptMaxBytes: number;
  #keptBytes = 0;
  /** Slabs taken by connections and not yet returned. */
  inUseBytes = 0;

  /** `keptMaxBytes` bounds the idle slabs; slabs in use are bounded by the connections' own limits. */
  constructor(keptMaxBytes: number = 8 * 1_048_576) {
    this.#keptMaxBytes = keptMaxBytes;
  }

  take(large: boolean): Buffer {
    const bytes = large ? largeSlabBytes : smallSlabBytes;
    this.inUseBytes += bytes;
    const kept = (large ? this.#large : this.#small).pop();
    if (kept === undefined) return Buffer.allocUnsafeSlow(bytes);
    this.#keptBytes -= kept.length;
    return kept;
  }

  giveBack(slab: Buffer): void {
    this.inUseBytes -= slab.length;
    if (this.#keptBytes + slab.length > this.#keptMaxBytes) return;
    this.#keptBytes += slab.length;
    (slab.length === largeSlabBytes ? this.#large : this.#small).push(slab);
  }

  /** Leaves a slab that may still be read to the garbage collector. */
  abandon(slab: Buffer): void {
    this.inUseBytes -= slab.length;
  }
}
