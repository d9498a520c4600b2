/**
 * The output of a log. A log must never block or end the program that writes it: lines that cannot be written (a full
 * disk, a pipe whose reader has stopped or closed) are dropped and counted.
 */
import { constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { Socket } from "node:net";

/** Opens a file, a device or a named pipe for a log; fails for a pipe without a reader. */
export const appendWithoutBlocking: number =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;

export type LogSinkOptions = {
  /** Pending lines beyond this size are dropped. */
  readonly waitingBytesMax?: number;
  /** Called when a line is written again after `lines` were dropped. */
  readonly onRecovered?: (lines: number, reason: string) => void;
};

const defaultWaitingBytesMax = 1024 * 1024;
/** How long to wait for a reader that does not read. */
const retryMs = 50;
const newline = 0x0a;
/** The other end is temporarily not ready. */
const busyCodes: ReadonlySet<unknown> = new Set(["EAGAIN", "EBUSY", "EINTR"]);

export class LogSink {
  readonly #descriptor: number;
  /** A write to a file may block as long as its disk does, so a thread does it. Everything else is non-blocking. */
  #usesThread: boolean;
  readonly #options: LogSinkOptions;
  readonly #waiting: string[] = [];
  #waitingBytes = 0;
  /** The bytes being written. */
  #batch: Buffer | null = null;
  /** Whether a write is in progress: in a thread, or after a pause. */
  #isBusy = false;
  #isInThread = false;
  /** The last byte written is not a line end. */
  #isTorn = false;
  #droppedTotal = 0;
  #droppedSinceWritten = 0;
  #reason = "";
  readonly #onIdle: (() => void)[] = [];

  /** Owns `descriptor` for the lifetime of the process. */
  constructor(descriptor: number, options: LogSinkOptions = {}) {
    this.#options = options;
    const target = openTarget(descriptor);
    this.#descriptor = target.descriptor;
    this.#usesThread = target.mayBlock;
  }

  /** The number of dropped lines. */
  get droppedTotal(): number {
    return this.#droppedTotal;
  }

  /** Whether a thread is inside a write: the process cannot exit before that thread returns. */
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

  /** Stops using threads: for a program that ends without another turn of the event loop. */
  writeDirectly(): void {
    this.#usesThread = false;
    if (!this.#isInThread) return;
    // The bytes that a thread is writing now are left to it.
    pauseSync(retryMs);
    this.#batch = null;
    this.#isBusy = false;
  }

  /** After `writeDirectly`: waits up to `withinMs` for a reader that does not read. */
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

  /** Handles the result of a write. False if the other end is not ready. */
  #settle(error: NodeJS.ErrnoException | null, written: number): boolean {
    const batch = this.#batch!;
    if (error !== null) {
      if (busyCodes.has(error.code)) return false;
      this.#batch = null;
      // A leading newline belongs to a line that was already written or counted.
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

/** Non-blocking without affecting other programs that write to the same file, where the system allows it. */
function openTarget(descriptor: number): { readonly descriptor: number; readonly mayBlock: boolean } {
  if (fstatSync(descriptor).isFile()) return { descriptor, mayBlock: true };
  try {
    return { descriptor: openSync(`/dev/fd/${descriptor}`, appendWithoutBlocking), mayBlock: false };
  } catch {
    // A socket, as under systemd, or a pipe of another user.
  }
  try {
    // Node.js makes the descriptor that it wraps non-blocking.
    new Socket({ fd: descriptor, readable: false, writable: true }).unref();
    return { descriptor, mayBlock: false };
  } catch {
    return { descriptor, mayBlock: true };
  }
}
