/** Serves agent-level requests of a peer, on the connection of the request. */
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { MemberId } from "../raft/entry.ts";
import { ByteReader } from "../wal/byte-codec.ts";
import { frameType } from "./frame.ts";
import type { FramedSocket } from "./framed-socket.ts";
import { writeError } from "./request-table.ts";
import type { TransportContext } from "./transport-types.ts";

/** `frame` is the body of a request, and owned by this request. */
export function serveRequest(context: TransportContext, peer: MemberId, socket: FramedSocket, frame: Uint8Array): void {
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
      ? Promise.reject(
          new HaplanError("transport/unsupported", `Member ${context.options.self} does not support requests`),
        )
      : onRequest(peer, kind, body);
  answer.then(
    (result) => respond(0, (writer) => writer.raw(result)),
    (error: unknown) => {
      const code = error instanceof HaplanError ? error.code : "transport/request-failed";
      respond(1, (writer) => writeError(writer, { code, message: errorText(error) }));
    },
  );
}
