/**
 * Stops listening at a moment at which no client is likely to be lost: the system resets the connections that it has
 * established and that are not accepted yet, which their clients take for a member that has broken off.
 */
import { Server } from "node:net";

const quietMs = 30;

/** Right after a connection was accepted, or when none has come for a while. Connections that were accepted live on. */
export function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      clearTimeout(timer);
      server.off("connection", stop);
      // An HTTP server's own `close` would also end the connections on which no request has been read yet.
      Server.prototype.close.call(server);
      resolve();
    };
    // Immediates run right after the connections that were waiting have been accepted.
    const timer = setTimeout(() => setImmediate(stop), quietMs);
    server.on("connection", stop);
  });
}
