/**
 * One connection of the load client: concurrent unary gRPC calls over a minimal framing, so that a figure is the
 * server's and not the client's. A call succeeds when a message arrived before the end of its stream; response headers
 * are not decoded.
 */
import { connect, type Socket } from "node:net";
import {
  defaultWindowBytes,
  Flag,
  FrameType,
  frameHeaderBytes,
  maxWindowBytes,
  readUint32,
  writeFrameHeader,
  writeUint32,
} from "../src/raft-agent/http2/frame.ts";
import { FrameParser } from "../src/raft-agent/http2/frame-parser.ts";
import { acknowledgement, connectionCredit, maxFrameBytes, openingFrames } from "./client-frames.ts";
import type { LatencyHistogram } from "./latency-histogram.ts";
import { RequestBlocks } from "./request-blocks.ts";

/** The maximum number of pending calls; ids are slots of a ring. */
const ringSlots = 16_384;

/** One kind of call. */
export type LoadCall = {
  /** For example `/etcdserverpb.KV/Put`. */
  readonly path: string;
  /** The request message number `sequence` (unframed) of a connection. The bytes are copied. */
  nextMessage(sequence: number): Uint8Array;
};

export type LoadConnectionOptions = {
  readonly host: string;
  readonly port: number;
  /** Sent in turn, repeatedly. */
  readonly calls: readonly LoadCall[];
  /** Calls in flight; at most 8,192. */
  readonly streams: number;
  readonly latency: LatencyHistogram;
};

export class LoadConnection {
  good = 0;
  failed = 0;
  readonly #options: LoadConnectionOptions;
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, maxFrameBytes);
  readonly #startedAt = new Float64Array(ringSlots);
  readonly #answered = new Uint8Array(ringSlots);
  readonly #blocks: RequestBlocks;
  #out = Buffer.allocUnsafe(65_536);
  #used = 0;
  #nextId = 1;
  #inFlight = 0;
  #sendWindow = defaultWindowBytes;
  #unreadCredit = 0;
  #running = true;
  #onIdle: (() => void) | undefined = undefined;

  constructor(options: LoadConnectionOptions) {
    this.#options = options;
    this.#blocks = new RequestBlocks(`${options.host}:${options.port}`);
    this.#socket = connect({ host: options.host, port: options.port, noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    this.#socket.on("error", () => this.#onGone());
    this.#socket.on("close", () => this.#onGone());
    this.#append(openingFrames());
    this.#fill();
  }

  /** Starts no more calls; resolves when those in flight are answered. */
  stop(): Promise<void> {
    this.#running = false;
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onChunk(chunk: Buffer): void {
    this.#parser.feed(chunk);
    this.#fill();
  }

  #onGone(): void {
    if (this.#running) this.failed += this.#inFlight;
    this.#running = false;
    this.#inFlight = 0;
    this.#onIdle?.();
  }

  /** A frame from the server. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    if (type === FrameType.data) {
      if (end > start) this.#answered[(streamId >>> 1) % ringSlots] = 1;
      this.#unreadCredit += end - start;
    } else if (type === FrameType.windowUpdate && streamId === 0) this.#sendWindow += readUint32(bytes, start);
    else if (type !== FrameType.headers) {
      const answer = acknowledgement(type, flags, bytes.subarray(start, end));
      if (answer !== undefined) this.#append(answer);
    }
    const ended = type === FrameType.rstStream || (flags & Flag.endStream) !== 0;
    if (ended && (type <= FrameType.headers || type === FrameType.rstStream)) this.#finished(streamId);
    return true;
  }

  #finished(streamId: number): void {
    const slot = (streamId >>> 1) % ringSlots;
    const startedAt = this.#startedAt[slot]!;
    // An RST_STREAM may follow the end of a stream.
    if (startedAt === 0) return;
    this.#startedAt[slot] = 0;
    this.#inFlight--;
    if (this.#answered[slot] === 1) this.good++;
    else this.failed++;
    this.#options.latency.record((performance.now() - startedAt) * 1000);
    if (this.#inFlight === 0 && !this.#running) this.#onIdle?.();
  }

  #fill(): void {
    while (this.#running && this.#inFlight < this.#options.streams) {
      const id = this.#nextId;
      const sequence = id >>> 1;
      const call = this.#options.calls[sequence % this.#options.calls.length]!;
      const message = call.nextMessage(sequence);
      if (this.#sendWindow < message.length + 5) break;
      this.#nextId += 2;
      this.#request(id, call.path, message);
    }
    if (this.#unreadCredit > maxWindowBytes / 2) {
      this.#append(connectionCredit(this.#unreadCredit));
      this.#unreadCredit = 0;
    }
    if (this.#used === 0) return;
    this.#socket.write(this.#out.subarray(0, this.#used));
    this.#out = Buffer.allocUnsafe(65_536);
    this.#used = 0;
  }

  #request(id: number, path: string, message: Uint8Array): void {
    const block = this.#blocks.next(path);
    const bodyLength = message.length + 5;
    this.#makeRoom(block.length + bodyLength + 2 * frameHeaderBytes);
    const out = this.#out;
    let at = writeFrameHeader(out, this.#used, block.length, FrameType.headers, Flag.endHeaders, id);
    for (let i = 0; i < block.length; i++) out[at++] = block[i]!;
    at = writeFrameHeader(out, at, bodyLength, FrameType.data, Flag.endStream, id);
    out[at] = 0;
    at = writeUint32(out, at + 1, message.length);
    out.set(message, at);
    this.#used = at + message.length;
    this.#sendWindow -= bodyLength;
    this.#inFlight++;
    const slot = (id >>> 1) % ringSlots;
    this.#answered[slot] = 0;
    this.#startedAt[slot] = performance.now();
  }

  #append(bytes: Buffer): void {
    this.#makeRoom(bytes.length);
    this.#out.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #makeRoom(bytes: number): void {
    if (this.#out.length - this.#used >= bytes) return;
    this.#socket.write(this.#out.subarray(0, this.#used));
    this.#out = Buffer.allocUnsafe(Math.max(65_536, bytes));
    this.#used = 0;
  }
}
