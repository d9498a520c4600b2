/** A workaround for TLS connections that stay open after their other end has closed. */
import type { TLSSocket } from "node:tls";

/** Time for data that is still to be sent when the other end closes its side. */
const goneLingerMs = 1_000;

/**
 * Closes a connection some time after its other end has. Node.js does so once the last write is done, but with TLS a
 * write that meets a reset may never complete: the socket would stay open until the keepalive, two hours later. Call it
 * for every accepted TLS connection whose reader does not close it at `end` itself.
 */
export function closeOnceGone(socket: TLSSocket): void {
  socket.once("end", () => setTimeout(() => socket.destroy(), goneLingerMs).unref());
}
