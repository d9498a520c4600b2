/**
 * What a connection has to say, gathered over one turn of the event loop and handed to the socket in one write. At
 * most one write is under way per connection; what comes meanwhile gathers for the next, which is how a slow socket
 * pushes back.
 */
import type { Duplex } from "node:stream";
import { largeSlabBytes, type SlabPool, smallSlabBytes } from "./slab-pool.ts";

export class Output {
  readonly #socket: Duplex;
  readonly #pool: SlabPool;
  readonly #onWritten: () => void;
  /** Slabs before the current one, and how far each is written: a frame header that does not fit leaves one early. */
  #full: Buffer[] = [];
  readonly #fullUsed: number[] = [];
  #writing: Buffer[] = [];
  #slab: Buffer | undefined = undefined;
  #used = 0;
  #fullBytes = 0;
  #lastTurnBytes = 0;

  /** `onWritten` is called when a write has been taken by the kernel and another may start. */
  constructor(socket: Duplex, pool: SlabPool, onWritten: () => void) {
    this.#socket = socket;
    this.#pool = pool;
    this.#onWritten = onWritten;
  }

  /** Bytes gathered and not yet handed to the socket. */
  get pendingBytes(): number {
    return this.#fullBytes + this.#used;
  }

  /** Bytes that the socket has not taken yet, gathered or handed to it. */
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

  /** States that the reserved buffer is written up to `end`. */
  advance(end: number): void {
    this.#used = end;
  }

  /** Copies `source[start, end)`; it may be cut over several slabs. */
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

  /** Hands everything gathered to the socket in one write, unless one is under way. */
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

  /** Gives the buffers that the socket does not hold back to the pool; nothing can be written afterwards. */
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

/** The most that one gathered write of a connection should hold before messages wait in their streams. */
export const outputHighWaterBytes: number = 16 * largeSlabBytes;
