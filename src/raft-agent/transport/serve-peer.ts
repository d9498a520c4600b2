/** The other side of a peer's link: takes its messages, answers its pings and requests. */
import type { Socket } from "node:net";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import { ByteReader, copyBytes } from "../wal/byte-codec.ts";
import { frameType } from "./frame.ts";
import { FramedSocket } from "./framed-socket.ts";
import { decodeMessage } from "./message-codec.ts";
import { writeError } from "./request-table.ts";
import type { TransportContext } from "./transport-types.ts";

/** Serves a greeted connection from `peer` until it closes. `rest` are the bytes that came behind the greeting. */
export function servePeer(
  context: TransportContext,
  peer: MemberId,
  raw: Socket,
  onClose: (socket: FramedSocket, reason: string) => void,
): FramedSocket {
  const route = { from: peer, to: context.options.self };
  const { handlers } = context.options;
  const socket: FramedSocket = new FramedSocket(raw, {
    frameBytesMax: context.limits.frameBytesMax,
    now: context.now,
    onClose: (reason) => onClose(socket, reason),
    onFrame: (type, bytes, start, end, owned) => {
      if (type === frameType.message) handlers.onMessage(decodeMessage(bytes, start, end, owned, route));
      else if (type === frameType.request) answerRequest(context, peer, socket, copyBytes(bytes, start, end));
      else if (type === frameType.ping && end - start === 8) {
        socket.beginFrame(frameType.pong).raw(bytes.subarray(start, end));
        socket.endFrame();
      } else
        throw new HaplanError(
          "transport/bad-frame",
          `a frame of type ${type}, which does not belong on this connection`,
        );
    },
  });
  return socket;
}

function answerRequest(context: TransportContext, peer: MemberId, socket: FramedSocket, frame: Uint8Array): void {
  const reader = new ByteReader(frame);
  const number = reader.uint32();
  const kind = reader.uint16();
  const body = reader.raw(reader.remaining);
  const respond = (status: number, write: (writer: ReturnType<FramedSocket["beginFrame"]>) => void): void => {
    if (!socket.open) return;
    const writer = socket.beginFrame(frameType.response);
    writer.uint32(number);
    writer.uint8(status);
    write(writer);
    socket.endFrame();
  };
  const { onRequest } = context.options.handlers;
  const answer =
    onRequest === undefined
      ? Promise.reject(new HaplanError("transport/unsupported", `Member ${context.options.self} answers no requests`))
      : onRequest(peer, kind, body);
  answer.then(
    (result) => respond(0, (writer) => writer.raw(result)),
    (error: unknown) => {
      const code = error instanceof HaplanError ? error.code : "transport/request-failed";
      respond(1, (writer) => writeError(writer, { code, message: errorText(error) }));
    },
  );
}
