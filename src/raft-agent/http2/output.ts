/**
 * The output of a connection, collected over one event-loop turn and passed to the socket in one write. At most one
 * write is in flight per connection; later output is collected for the next one, which is how a slow socket applies
 * backpressure.
 */
import type { Duplex } from "node:stream";
import { largeSlabBytes, type SlabPool, smallSlabBytes } from "./slab-pool.ts";

export class Output {
  readonly #socket: Duplex;
  readonly #pool: SlabPool;
  readonly #onWritten: () => void;
  /** Slabs before the current one, and how far each is filled: a frame header that does not fit leaves one early. */
  #full: Buffer[] = [];
  readonly #fullUsed: number[] = [];
  #writing: Buffer[] = [];
  #slab: Buffer | undefined = undefined;
  #used = 0;
  #fullBytes = 0;
  #lastTurnBytes = 0;

  /** `onWritten` is called when the kernel has taken a write and another may start. */
  constructor(socket: Duplex, pool: SlabPool, onWritten: () => void) {
    this.#socket = socket;
    this.#pool = pool;
    this.#onWritten = onWritten;
  }

  /** Bytes collected and not yet passed to the socket. */
  get pendingBytes(): number {
    return this.#fullBytes + this.#used;
  }

  /** Bytes that the socket has not taken yet, collected or passed to it. */
  get heldBytes(): number {
    let bytes = this.pendingBytes;
    for (const slab of this.#writing) bytes += slab.length;
    return bytes;
  }

  get writing(): boolean {
    return this.#writing.length > 0;
  }

  /**
   * Makes room for `bytes` (at most 4,096) in one piece and returns the buffer; write from `position` on, then call
   * `advance`.
   */
  reserve(bytes: number): Buffer {
    const slab = this.#slab;
    if (slab !== undefined && slab.length - this.#used >= bytes) return slab;
    return this.#nextSlab();
  }

  get position(): number {
    return this.#used;
  }

  /** Marks the reserved buffer as written up to `end`. */
  advance(end: number): void {
    this.#used = end;
  }

  /** Copies `source[start, end)`; it may be split over several slabs. */
  append(source: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end) {
      let slab = this.#slab;
      if (slab === undefined || slab.length === this.#used) slab = this.#nextSlab();
      const taken = Math.min(end - at, slab.length - this.#used);
      slab.set(at === 0 && taken === source.length ? source : source.subarray(at, at + taken), this.#used);
      this.#used += taken;
      at += taken;
    }
  }

  /** Passes everything collected to the socket in one write, unless one is in flight. */
  flush(): void {
    if (this.writing || this.pendingBytes === 0 || this.#socket.destroyed) return;
    this.#lastTurnBytes = this.pendingBytes;
    const last = this.#slab!;
    const socket = this.#socket;
    this.#writing = this.#full;
    this.#full = [];
    this.#writing.push(last);
    this.#slab = undefined;
    const lastBytes = last.subarray(0, this.#used);
    this.#used = 0;
    this.#fullBytes = 0;
    if (this.#writing.length === 1) {
      socket.write(lastBytes, this.#afterWrite);
      return;
    }
    socket.cork();
    for (let i = 0; i < this.#writing.length - 1; i++) socket.write(this.#writing[i]!.subarray(0, this.#fullUsed[i]));
    this.#fullUsed.length = 0;
    socket.write(lastBytes, this.#afterWrite);
    socket.uncork();
  }

  /** Returns the buffers that the socket does not hold to the pool; nothing can be written afterwards. */
  discard(): void {
    for (const slab of this.#full) this.#pool.giveBack(slab);
    if (this.#slab !== undefined) this.#pool.giveBack(this.#slab);
    this.#full = [];
    this.#fullUsed.length = 0;
    this.#slab = undefined;
    this.#used = 0;
    this.#fullBytes = 0;
  }

  #nextSlab(): Buffer {
    const large = this.#slab !== undefined || this.#lastTurnBytes > smallSlabBytes;
    if (this.#slab !== undefined) {
      this.#full.push(this.#slab);
      this.#fullUsed.push(this.#used);
      this.#fullBytes += this.#used;
    }
    this.#slab = this.#pool.take(large);
    this.#used = 0;
    return this.#slab;
  }

  readonly #afterWrite = (error?: Error | null): void => {
    // After an error libuv may still hold the buffers; they are left to the garbage collector.
    for (const slab of this.#writing) {
      if (error) this.#pool.abandon(slab);
      else this.#pool.giveBack(slab);
    }
    this.#writing = [];
    if (!error) this.#onWritten();
  };
}

/** The maximum size of one combined write of a connection before messages wait in their streams. */
export const outputHighWaterBytes: number = 16 * largeSlabBytes;
