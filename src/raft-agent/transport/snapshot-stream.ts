/**
 * Streams a snapshot, on a separate connection so that it never delays a heartbeat. Both sides apply backpressure: the
 * sender when the socket is full, the receiver when its disk is. The sender learns whether the snapshot is durable.
 */
import type { Socket } from "node:net";
import { crc32c } from "../../base/crc32c.ts";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { MemberId } from "../raft/entry.ts";
import { ByteReader, copyBytes } from "../wal/byte-codec.ts";
import { readSnapshotMetadata, writeSnapshotMetadata } from "../wal/snapshot-metadata-codec.ts";
import type { Dialed } from "./dial.ts";
import { frameType } from "./frame.ts";
import { FramedSocket } from "./framed-socket.ts";
import { readError, writeError } from "./request-table.ts";
import type { TransportContext } from "./transport-types.ts";

const chunkBytesMax = 256 * 1024;
/** The maximum size of queued data, on either side. */
const windowBytes = 1024 * 1024;
const keepAliveMs = 5_000;

/**
 * Sends the snapshot and resolves when the receiver has made it durable.
 * @throws HaplanError `transport/snapshot-failed`, or what the receiver's handler or `chunks` threw.
 */
export async function sendSnapshotOver(
  context: TransportContext,
  { socket: raw, rest }: Dialed,
  metadata: SnapshotMetadata,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  let settle: (error: HaplanError | null) => void = () => {};
  const result = new Promise<HaplanError | null>((resolve) => {
    settle = resolve;
  });
  raw.setKeepAlive(true, keepAliveMs);
  const socket = new FramedSocket(raw, {
    frameBytesMax: context.limits.frameBytesMax,
    now: context.now,
    onClose: (reason) => settle(new HaplanError("transport/snapshot-failed", `Cannot send the snapshot: ${reason}`)),
    onFrame: (type, bytes, start, end) => {
      if (type !== frameType.snapshotResult)
        throw new HaplanError("transport/bad-frame", `a frame of type ${type} instead of a result`);
      const reader = new ByteReader(bytes, start, end);
      settle(reader.uint8() === 0 ? null : readError(reader));
    },
  });
  socket.receive(rest);
  try {
    await Promise.race([writeChunks(socket, metadata, chunks), result]);
    const error = await result;
    if (error !== null) throw error;
  } finally {
    socket.close("the snapshot is complete");
  }
}

async function writeChunks(
  socket: FramedSocket,
  metadata: SnapshotMetadata,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  writeSnapshotMetadata(socket.beginFrame(frameType.snapshotStart), metadata);
  socket.endFrame();
  let total = 0;
  let crc = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += chunkBytesMax) {
      await socket.drained(windowBytes);
      if (!socket.open) return;
      socket.beginFrame(frameType.snapshotChunk).raw(chunk.subarray(at, at + chunkBytesMax));
      socket.endFrame();
    }
    total += chunk.length;
    crc = crc32c(chunk, 0, chunk.length, crc);
  }
  const end = socket.beginFrame(frameType.snapshotEnd);
  end.uint64(total);
  end.uint32(crc);
  socket.endFrame();
}

/** Receives a snapshot on a greeted connection and reports the result. */
export function receiveSnapshot(
  context: TransportContext,
  peer: MemberId,
  raw: Socket,
  rest: Uint8Array,
): FramedSocket {
  const incoming = new IncomingChunks();
  raw.setKeepAlive(true, keepAliveMs);
  const socket: FramedSocket = new FramedSocket(raw, {
    frameBytesMax: context.limits.frameBytesMax,
    now: context.now,
    onClose: (reason) =>
      incoming.fail(
        new HaplanError("transport/snapshot-failed", `Cannot receive a snapshot from member ${peer}: ${reason}`),
      ),
    onFrame: (type, bytes, start, end, owned) => {
      const body = owned ? bytes.subarray(start, end) : copyBytes(bytes, start, end);
      if (type === frameType.snapshotStart && !incoming.started) {
        incoming.started = true;
        const metadata = readSnapshotMetadata(new ByteReader(body));
        void install(context, peer, socket, metadata, incoming);
      } else if (type === frameType.snapshotChunk && incoming.started) incoming.add(body);
      else if (type === frameType.snapshotEnd && incoming.started) incoming.finish(new ByteReader(body));
      else throw new HaplanError("transport/bad-frame", `a frame of type ${type} out of place in a snapshot`);
    },
  });
  incoming.onFull = (full) => (full ? socket.pause() : socket.resume());
  socket.receive(rest);
  return socket;
}

async function install(
  context: TransportContext,
  peer: MemberId,
  socket: FramedSocket,
  metadata: SnapshotMetadata,
  incoming: IncomingChunks,
): Promise<void> {
  let failure: { code: string; message: string } | null = null;
  try {
    const { onSnapshot } = context.options.handlers;
    if (onSnapshot === undefined)
      throw new HaplanError("transport/unsupported", `Member ${context.options.self} does not accept snapshots`);
    await onSnapshot(peer, metadata, incoming);
    incoming.assertFinished();
  } catch (error) {
    failure = {
      code: error instanceof HaplanError ? error.code : "transport/snapshot-failed",
      message: errorText(error),
    };
    context.log("warn", `could not receive a snapshot from member ${peer}: ${failure.message}`);
  }
  if (!socket.open) return;
  const writer = socket.beginFrame(frameType.snapshotResult);
  writer.uint8(failure === null ? 0 : 1);
  if (failure !== null) writeError(writer, failure);
  socket.endFrame();
  socket.resume();
  socket.finish();
}

/** Chunks between the socket and the writer. */
class IncomingChunks implements AsyncIterable<Uint8Array> {
  started = false;
  onFull: (full: boolean) => void = () => {};
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #total = 0;
  #crc = 0;
  #ended = false;
  #error: HaplanError | null = null;
  #wake: () => void = () => {};

  add(chunk: Uint8Array): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    this.#total += chunk.length;
    this.#crc = crc32c(chunk, 0, chunk.length, this.#crc);
    if (this.#waitingBytes > windowBytes) this.onFull(true);
    this.#wake();
  }

  finish(end: ByteReader): void {
    const [total, crc] = [end.uint64(), end.uint32()];
    if (total !== this.#total || crc !== this.#crc) {
      throw new HaplanError(
        "transport/bad-frame",
        `a snapshot of ${this.#total} bytes whose length or checksum does not match`,
      );
    }
    this.#ended = true;
    this.#wake();
  }

  fail(error: HaplanError): void {
    this.#error ??= error;
    this.#wake();
  }

  /** A handler that stopped reading early cannot have made everything durable. */
  assertFinished(): void {
    if (this.#ended && this.#waiting.length === 0) return;
    throw (
      this.#error ??
      new HaplanError("transport/snapshot-failed", "Cannot receive the snapshot: it was not read to its end")
    );
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        this.#waitingBytes -= chunk.length;
        if (this.#waitingBytes <= windowBytes / 2) this.onFull(false);
        yield chunk;
      } else if (this.#ended) return;
      else if (this.#error !== null) throw this.#error;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
