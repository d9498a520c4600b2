/** For tests: a client that sends arbitrary bytes and records the frames that it receives. */
import { connect, type Socket } from "node:net";
import {
  clientPreface,
  Flag,
  FrameType,
  frameHeaderBytes,
  readUint32,
  settingsFrame,
  writeFrameHeader,
} from "../../src/raft-agent/http2/frame.ts";
import { FrameParser } from "../../src/raft-agent/http2/frame-parser.ts";
import { encodeStateless } from "../../src/raft-agent/http2/hpack-encoder.ts";

export type SeenFrame = {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
};

/** A frame with any type, flags and payload. */
export function anyFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  const bytes = Buffer.alloc(frameHeaderBytes + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, streamId));
  return bytes;
}

/** The headers of a request that has no body. */
export function openPost(streamId: number): Buffer {
  const fields: readonly (readonly [string, string])[] = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/x"],
    [":authority", "a"],
  ];
  return anyFrame(FrameType.headers, Flag.endStream | Flag.endHeaders, streamId, encodeStateless(fields));
}

/** The first bytes of a well-behaved client. */
export const greeting: Buffer = Buffer.concat([clientPreface, settingsFrame([])]);

export class RawClient {
  readonly frames: SeenFrame[] = [];
  closed = false;
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, 0xff_ffff);
  readonly #receivedBytes = new Map<number, number>();
  readonly #ended = new Set<number>();
  #pingAcks = 0;
  #onChange: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#parser.feed(chunk);
      this.#onChange();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
      this.#onChange();
    });
  }

  static async connect(host: string, port: number): Promise<RawClient> {
    const socket = connect({ host, port, noDelay: true });
    const client = new RawClient(socket);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return client;
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    this.frames.push({ type, flags, streamId, payload: Buffer.from(bytes.subarray(start, end)) });
    if (type === FrameType.data) this.#receivedBytes.set(streamId, this.receivedBytes(streamId) + end - start);
    if (type === FrameType.ping && (flags & Flag.ack) !== 0) this.#pingAcks++;
    if (type <= FrameType.headers && (flags & Flag.endStream) !== 0) this.#ended.add(streamId);
    return true;
  }

  write(...pieces: readonly Uint8Array[]): void {
    if (!this.closed) this.#socket.write(Buffer.concat(pieces));
  }

  /**
   * Resolves once the condition holds; rejects when the connection closes first or the condition does not hold in
   * time.
   */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`The condition did not hold in time: ${this.summary()}`)), 5_000);
      this.#onChange = () => {
        if (condition()) resolve();
        else if (this.closed) reject(new Error(`Connection closed: ${this.summary()}`));
        else return;
        clearTimeout(timer);
      };
    });
  }

  /** Error code of the last GOAWAY, or undefined. */
  get goawayCode(): number | undefined {
    const frame = this.frames.findLast((seen) => seen.type === FrameType.goaway);
    return frame === undefined ? undefined : readUint32(frame.payload, 4);
  }

  /** Error code of the RST_STREAM for a stream, or undefined. */
  resetCode(streamId: number): number | undefined {
    const frame = this.frames.find((seen) => seen.type === FrameType.rstStream && seen.streamId === streamId);
    return frame === undefined ? undefined : readUint32(frame.payload, 0);
  }

  /** All DATA bytes of a stream. */
  body(streamId: number): Buffer {
    const frames = this.frames.filter((seen) => seen.type === FrameType.data && seen.streamId === streamId);
    return Buffer.concat(frames.map((frame) => frame.payload));
  }

  /** DATA bytes of a stream so far. */
  receivedBytes(streamId: number): number {
    return this.#receivedBytes.get(streamId) ?? 0;
  }

  /** Responses to pings so far. */
  get pingAcks(): number {
    return this.#pingAcks;
  }

  /** Reads nothing until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Whether the server has ended a stream. */
  ended(streamId: number): boolean {
    return this.#ended.has(streamId);
  }

  summary(): string {
    return this.frames
      .slice(-50)
      .map((seen) => `${seen.type}/${seen.flags}@${seen.streamId}+${seen.payload.length}`)
      .join(" ");
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
