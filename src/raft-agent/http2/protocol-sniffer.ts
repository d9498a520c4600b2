/**
 * Distinguishes HTTP/2 with prior knowledge (RFC 9113 §3.3) from HTTP/1.1 and TLS by the first bytes: no HTTP/1.1
 * request starts with the client preface, and a difference shows within 24 bytes. TLS starts with a handshake record
 * (RFC 8446 §5.1).
 */
import type { Socket } from "node:net";
import { clientPreface } from "./frame.ts";

export type Protocol = "h2" | "http/1.1" | "tls";

const handshakeRecord = 0x16;

/**
 * Waits for the first bytes, puts them back and reports the protocol. A socket that sends nothing in time, or closes,
 * is dropped silently.
 */
export function sniffProtocol(socket: Socket, timeoutMs: number, found: (protocol: Protocol) => void): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs).unref();
  let seen: Buffer = Buffer.alloc(0);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("readable", onReadable);
    socket.off("end", onGone);
    socket.off("error", onGone);
    socket.off("close", onGone);
  };
  const onGone = (): void => {
    stop();
    socket.destroy();
  };
  const onReadable = (): void => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, clientPreface.length);
    const isPreface = seen.subarray(0, compared).equals(clientPreface.subarray(0, compared));
    if (isPreface && compared < clientPreface.length) return;
    stop();
    socket.unshift(seen);
    if (isPreface) found("h2");
    else found(seen[0] === handshakeRecord ? "tls" : "http/1.1");
  };
  socket.on("readable", onReadable);
  socket.on("end", onGone);
  socket.on("error", onGone);
  socket.on("close", onGone);
}
