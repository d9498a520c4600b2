/**
 * Watchers of the load client: a number of watch streams on one connection, each with one watch of the whole key
 * space. Events are counted and their delay is measured from the timestamp at the end of the load's values; nothing
 * else is decoded.
 */
import { connect, type Socket } from "node:net";
import { WireReader, WireWriter } from "../src/raft-agent/api/wire.ts";
import { messagePrefixBytes, PartialMessage } from "../src/raft-agent/grpc/partial-message.ts";
import {
  Flag,
  FrameType,
  frameHeaderBytes,
  maxWindowBytes,
  writeFrameHeader,
  writeUint32,
} from "../src/raft-agent/http2/frame.ts";
import { FrameParser } from "../src/raft-agent/http2/frame-parser.ts";
import { acknowledgement, connectionCredit, maxFrameBytes, openingFrames } from "./client-frames.ts";
import type { LatencyHistogram } from "./latency-histogram.ts";
import { RequestBlocks } from "./request-blocks.ts";

/** WatchResponse: created = 3, events = 11. */
const createdTag = 0x18;
const eventTag = 0x5a;

export type WatchConnectionOptions = {
  readonly host: string;
  readonly port: number;
  readonly watchers: number;
  readonly delay: LatencyHistogram;
};

export class WatchConnection {
  events = 0;
  /** Watches that the server has confirmed. */
  created = 0;
  failed = false;
  readonly #delay: LatencyHistogram;
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this, maxFrameBytes);
  /** By stream: the received part of a message. */
  readonly #partial = new Map<number, PartialMessage>();
  #unreadCredit = 0;

  constructor({ host, port, watchers, delay }: WatchConnectionOptions) {
    this.#delay = delay;
    this.#socket = connect({ host, port, noDelay: true });
    this.#socket.on("data", (chunk: Buffer) => this.#parser.feed(chunk));
    this.#socket.on("error", () => {
      this.failed = true;
    });
    this.#socket.write(openingFrames());
    const blocks = new RequestBlocks(`${host}:${port}`);
    for (let i = 0; i < watchers; i++) this.#socket.write(watchStream(2 * i + 1, blocks));
  }

  close(): void {
    this.#socket.destroy();
  }

  /** A frame from the server. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    if (type === FrameType.data) this.#onData(streamId, bytes, start, end);
    else if (type !== FrameType.headers) {
      const answer = acknowledgement(type, flags, bytes.subarray(start, end));
      if (answer !== undefined) this.#socket.write(answer);
    }
    // A watch never ends by itself.
    if (type === FrameType.rstStream || (type <= FrameType.headers && (flags & Flag.endStream) !== 0))
      this.failed = true;
    return true;
  }

  #onData(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#unreadCredit += end - start;
    if (this.#unreadCredit > maxWindowBytes / 2) {
      this.#socket.write(connectionCredit(this.#unreadCredit));
      this.#unreadCredit = 0;
    }
    for (let at = start; at < end; ) {
      const partial = this.#partial.get(streamId) ?? new PartialMessage();
      if (!partial.prefixKnown) at = partial.takePrefix(bytes, at, end);
      if (partial.prefixKnown) at = partial.takeBody(bytes, at, end);
      if (partial.prefixKnown && partial.complete) {
        this.#partial.delete(streamId);
        this.#onMessage(partial.body);
      } else this.#partial.set(streamId, partial);
    }
  }

  #onMessage(message: Buffer): void {
    const reader = new WireReader(message);
    const now = performance.now();
    while (reader.offset < message.length) {
      const tag = reader.tag();
      if (tag === createdTag) this.created += reader.bool() ? 1 : 0;
      else if (tag !== eventTag) reader.skip(tag, 0);
      else {
        const end = reader.nestedEnd();
        this.events++;
        // An event ends with its key-value, that with its value.
        this.#delay.record(Math.max(0, now - message.readDoubleBE(end - 8)) * 1000);
        reader.offset = end;
      }
    }
  }
}

function watchStream(id: number, blocks: RequestBlocks): Buffer {
  const writer = new WireWriter(32);
  const create = writer.beginNested(0x0a);
  writer.bytesField(0x0a, Uint8Array.of(0));
  writer.bytesField(0x12, Uint8Array.of(0));
  writer.endNested(create);
  const message = writer.copy();
  const block = blocks.next("/etcdserverpb.Watch/Watch");
  const headers = Buffer.alloc(frameHeaderBytes);
  writeFrameHeader(headers, 0, block.length, FrameType.headers, Flag.endHeaders, id);
  const prefix = Buffer.alloc(frameHeaderBytes + messagePrefixBytes);
  writeFrameHeader(prefix, 0, messagePrefixBytes + message.length, FrameType.data, 0, id);
  writeUint32(prefix, frameHeaderBytes + 1, message.length);
  return Buffer.concat([headers, block, prefix, message]);
}
