/**
 * Node.js stops reading a connection once large responses wait behind a pending one, and then does not detect that the
 * client has disconnected: a waiting lock, with requests after it, would wait forever.
 */
import type { Server } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";

/** A client that reads its responses, however slowly, has taken some of them within this time. */
const stallMsMax = 10_000;

/** Closes connections of `server` that are not read and on which nothing is written for `stallMs`. */
export function endStalledPipelines(server: Server, stallMs: number = stallMsMax): void {
  const event = server instanceof HttpsServer ? "secureConnection" : "connection";
  server.on(event, (socket: Socket) => {
    let timer: NodeJS.Timeout | undefined;
    const watch = (): void => {
      const { bytesWritten } = socket;
      clearTimeout(timer);
      timer = setTimeout(() => (socket.bytesWritten === bytesWritten ? socket.destroy() : watch()), stallMs).unref();
    };
    socket.on("pause", watch);
    socket.on("resume", () => clearTimeout(timer));
    socket.on("close", () => clearTimeout(timer));
  });
}
