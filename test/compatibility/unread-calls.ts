/** A gRPC client that grants the largest windows, sends requests, and reads nothing of the responses. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  clientPreface,
  Flag,
  FrameType,
  frameHeaderBytes,
  settingsFrame,
  writeFrameHeader,
  writeUint32,
} from "../../src/raft-agent/http2/frame.ts";
import { encodeStateless } from "../../src/raft-agent/http2/hpack-encoder.ts";

const windowBytes = 0x7fff_ffff;
const initialWindowSize = 4;

export class UnreadCalls {
  closed = false;
  readonly #socket: Socket;
  #nextStream = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
    });
  }

  static async open(url: URL): Promise<UnreadCalls> {
    const socket = connect({ host: url.hostname, port: Number(url.port) });
    await once(socket, "connect");
    socket.pause();
    const increment = Buffer.alloc(4);
    writeUint32(increment, 0, windowBytes - 65_535);
    const settings = settingsFrame([[initialWindowSize, windowBytes]]);
    socket.write(Buffer.concat([clientPreface, settings, frame(FrameType.windowUpdate, 0, 0, increment)]));
    return new UnreadCalls(socket);
  }

  /** Sends `count` calls. */
  call(path: string, request: Uint8Array, count: number): void {
    const block = encodeStateless([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", path],
      [":authority", "member"],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
    ]);
    const message = Buffer.alloc(5 + request.length);
    writeUint32(message, 1, request.length);
    message.set(request, 5);
    const frames: Buffer[] = [];
    for (let at = 0; at < count; at++) {
      frames.push(frame(FrameType.headers, Flag.endHeaders, this.#nextStream, block));
      frames.push(frame(FrameType.data, Flag.endStream, this.#nextStream, message));
      this.#nextStream += 2;
    }
    this.#socket.write(Buffer.concat(frames));
  }

  /** Reads everything from now on. */
  read(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(frameHeaderBytes + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, streamId));
  return bytes;
}
