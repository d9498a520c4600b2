/**
 * A socket that carries frames. All frames written during one turn of the event loop are sent in one write; buffers
 * are reused once the kernel has them. Closing is reported exactly once, whichever side closed and however.
 */
import type { Socket } from "node:net";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import { ByteWriter, putUint32 } from "../wal/byte-codec.ts";
import { FrameReader, frameHeaderBytes, type OnFrame } from "./frame.ts";

const bufferBytes = 16 * 1024;
/** Larger buffers are left to the garbage collector. */
const bufferBytesMax = 1024 * 1024;

export type FramedSocketOptions = {
  readonly frameBytesMax: number;
  readonly now: () => number;
  readonly onFrame: OnFrame;
  /** `reason` is for the log. */
  readonly onClose: (reason: string) => void;
};

export class FramedSocket {
  bytesSent = 0;
  bytesReceived = 0;
  /** When the last bytes arrived, on the given clock. */
  lastReceivedMs: number;
  readonly #socket: Socket;
  readonly #options: FramedSocketOptions;
  readonly #reader: FrameReader;
  #writer: ByteWriter = new ByteWriter(bufferBytes);
  #idleWriter: ByteWriter | null = null;
  #frameStart = 0;
  #flushScheduled = false;
  #closed = false;
  #drainWaiters: (() => void)[] = [];

  constructor(socket: Socket, options: FramedSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.lastReceivedMs = options.now();
    this.#reader = new FrameReader(options.frameBytesMax, options.onFrame);
    socket.setNoDelay(true);
    socket.setTimeout(0);
    socket.on("data", (bytes: Buffer) => this.receive(bytes));
    socket.on("end", () => this.close("the other end closed the connection"));
    socket.on("error", (error) => this.close(errorText(error)));
    socket.on("close", () => this.close("the connection was closed"));
    socket.resume();
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** Bytes not yet handed to the kernel. */
  get queuedBytes(): number {
    return this.#socket.writableLength + this.#writer.length;
  }

  /** Processes bytes that arrived before this object was created. */
  receive(bytes: Uint8Array): void {
    if (this.#closed || bytes.length === 0) return;
    this.lastReceivedMs = this.#options.now();
    this.bytesReceived += bytes.length;
    try {
      this.#reader.push(bytes);
    } catch (error) {
      // Only errors caused by the bytes: a bug in the handler of a frame must not be mistaken for a bad connection.
      if (!(error instanceof HaplanError) || !/^(transport|codec)\//.test(error.code)) throw error;
      this.close(`it sent ${errorText(error)}`);
    }
  }

  /** Begins a frame: write its body into the result, then call `endFrame`. */
  beginFrame(type: number): ByteWriter {
    this.#frameStart = this.#writer.length;
    this.#writer.uint32(0);
    this.#writer.uint8(type);
    return this.#writer;
  }

  endFrame(): void {
    const writer = this.#writer;
    const frameStart = this.#frameStart;
    putUint32(writer.bytes, frameStart, writer.length - frameStart - frameHeaderBytes + 1);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => this.flush());
  }

  /** Sends what was written so far, now instead of at the end of the turn. */
  flush(): void {
    this.#flushScheduled = false;
    const writer = this.#writer;
    if (this.#closed || writer.length === 0) return;
    this.#writer = this.#idleWriter ?? new ByteWriter(bufferBytes);
    this.#idleWriter = null;
    this.bytesSent += writer.length;
    this.#socket.write(writer.written(), () => {
      writer.length = 0;
      if (writer.bytes.length <= bufferBytesMax) this.#idleWriter = writer;
      this.#wakeDrainWaiters();
    });
  }

  /** Resolves when at most `bytes` wait to be sent, or the connection is closed. */
  async drained(bytes: number): Promise<void> {
    while (this.open && this.queuedBytes > bytes) {
      this.flush();
      await new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
    }
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends what is queued, then closes gracefully. */
  finish(): void {
    this.flush();
    this.#socket.end();
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.stop();
    this.#socket.destroy();
    this.#wakeDrainWaiters();
    this.#options.onClose(reason);
  }

  #wakeDrainWaiters(): void {
    const waiters = this.#drainWaiters;
    if (waiters.length === 0) return;
    this.#drainWaiters = [];
    for (const wake of waiters) wake();
  }
}
