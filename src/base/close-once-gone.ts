/** A way around connections with TLS that stay after their other end is gone. */
import type { TLSSocket } from "node:tls";

/** For what was still to be said when the other end closed its side. */
const goneLingerMs = 1_000;

/**
 * Closes a connection a while after its other end has. Node.js does so once the last write is done, but with TLS the end
 * of a write that met a reset may never be reported: the socket would stay until the keepalive, two hours later. To be
 * called for every connection with TLS that is accepted and whose reader does not close it at the `end` itself.
 */
export function closeOnceGone(socket: TLSSocket): void {
  socket.once("end", () => setTimeout(() => socket.destroy(), goneLingerMs).unref());
}
