/**
 * Where the lines of a log go. A log must never hold up or end the program that writes it: what cannot be written (the
 * disk is full, the pipe's reader has stopped or gone) is dropped and counted.
 */
import { constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { Socket } from "node:net";

/** How a place for a log is opened, be it a file, a device or a named pipe: one without a reader is refused. */
export const appendWithoutBlocking: number =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;

export type LogSinkOptions = {
  /** Lines that wait beyond this size are dropped. */
  readonly waitingBytesMax?: number;
  /** Called when a line was written again after `lines` had been dropped. */
  readonly onRecovered?: (lines: number, reason: string) => void;
};

const defaultWaitingBytesMax = 1024 * 1024;
/** How long to wait for a reader that has stopped. */
const retryMs = 50;
const newline = 0x0a;
/** The other end is not ready, which passes. */
const busyCodes: ReadonlySet<unknown> = new Set(["EAGAIN", "EBUSY", "EINTR"]);

export class LogSink {
  readonly #descriptor: number;
  /** A write to a file may block for as long as its disk does, so a thread does it. Everything else is non-blocking. */
  #usesThread: boolean;
  readonly #options: LogSinkOptions;
  readonly #waiting: string[] = [];
  #waitingBytes = 0;
  /** What is being written. */
  #batch: Buffer | null = null;
  /** Whether writing is under way: in a thread, or after a pause. */
  #isBusy = false;
  #isInThread = false;
  /** The last byte written is not the end of a line. */
  #isTorn = false;
  #droppedTotal = 0;
  #droppedSinceWritten = 0;
  #reason = "";
  readonly #onIdle: (() => void)[] = [];

  /** Takes `descriptor` over for as long as the process lives. */
  constructor(descriptor: number, options: LogSinkOptions = {}) {
    this.#options = options;
    const target = openTarget(descriptor);
    this.#descriptor = target.descriptor;
    this.#usesThread = target.mayBlock;
  }

  /** How many lines were lost. */
  get droppedTotal(): number {
    return this.#droppedTotal;
  }

  /** Whether a thread is inside a write: a process cannot exit before that thread comes back. */
  get isInThread(): boolean {
    return this.#isInThread;
  }

  /** `line` ends with a newline. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line) + this.#waitingBytes + (this.#batch?.length ?? 0);
    if (bytes > (this.#options.waitingBytesMax ?? defaultWaitingBytesMax)) {
      this.#drop(1, "its reader is too slow");
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += Buffer.byteLength(line);
    if (!this.#isBusy) this.#pump();
  }

  /** Resolves once everything is written or dropped, or `withinMs` have passed. */
  drain(withinMs: number): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => {
      const late = setTimeout(resolve, withinMs);
      this.#onIdle.push(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  /** From now on no thread is used: for a program that ends without giving other code a turn. */
  writeDirectly(): void {
    this.#usesThread = false;
    if (!this.#isInThread) return;
    // What a thread is writing just now is left to it.
    pauseSync(retryMs);
    this.#batch = null;
    this.#isBusy = false;
  }

  /** After `writeDirectly`: waits for a reader that has stopped, until `withinMs` have passed. */
  drainSync(withinMs: number): void {
    const endMs = performance.now() + withinMs;
    while (this.#nextBatch() !== null) {
      if (this.#writeNow()) continue;
      if (performance.now() > endMs) return;
      pauseSync(retryMs);
    }
  }

  #pump(): void {
    this.#isBusy = true;
    while (this.#nextBatch() !== null) {
      if (this.#usesThread) this.#writeInThread();
      else if (!this.#writeNow()) this.#pumpLater();
      else continue;
      return;
    }
    this.#isBusy = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #pumpLater(): void {
    setTimeout(() => this.#pump(), retryMs).unref();
  }

  #writeInThread(): void {
    this.#isInThread = true;
    write(this.#descriptor, this.#batch!, (error, written) => {
      this.#isInThread = false;
      if (this.#batch === null || this.#settle(error, written)) this.#pump();
      else this.#pumpLater();
    });
  }

  #writeNow(): boolean {
    try {
      return this.#settle(null, writeSync(this.#descriptor, this.#batch!));
    } catch (error) {
      return this.#settle(error as NodeJS.ErrnoException, 0);
    }
  }

  /** What a write has come to. False when the other end is not ready. */
  #settle(error: NodeJS.ErrnoException | null, written: number): boolean {
    const batch = this.#batch!;
    if (error !== null) {
      if (busyCodes.has(error.code)) return false;
      this.#batch = null;
      // A newline at the front belongs to a line that was written or counted before.
      this.#drop(batch.filter((byte) => byte === newline).length - (batch[0] === newline ? 1 : 0), error.message);
      return true;
    }
    if (written > 0) this.#isTorn = batch[written - 1] !== newline;
    if (written < batch.length) {
      this.#batch = batch.subarray(written);
      return written > 0;
    }
    this.#batch = null;
    const lost = this.#droppedSinceWritten;
    this.#droppedSinceWritten = 0;
    if (lost > 0) this.#options.onRecovered?.(lost, this.#reason);
    return true;
  }

  #nextBatch(): Buffer | null {
    if (this.#batch === null && this.#waiting.length > 0) {
      this.#batch = Buffer.from((this.#isTorn ? "\n" : "") + this.#waiting.splice(0).join(""));
      this.#waitingBytes = 0;
    }
    return this.#batch;
  }

  #drop(lines: number, reason: string): void {
    this.#droppedTotal += lines;
    this.#droppedSinceWritten += lines;
    this.#reason = reason;
  }
}

function pauseSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Non-blocking without a change for other programs that write to the same place, where the system allows it. */
function openTarget(descriptor: number): { readonly descriptor: number; readonly mayBlock: boolean } {
  if (fstatSync(descriptor).isFile()) return { descriptor, mayBlock: true };
  try {
    return { descriptor: openSync(`/dev/fd/${descriptor}`, appendWithoutBlocking), mayBlock: false };
  } catch {
    // A socket, as under systemd, or a pipe of another user.
  }
  try {
    // Node.js makes what it wraps non-blocking.
    new Socket({ fd: descriptor, readable: false, writable: true }).unref();
    return { descriptor, mayBlock: false };
  } catch {
    return { descriptor, mayBlock: true };
  }
}
