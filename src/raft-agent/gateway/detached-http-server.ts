/** An HTTP/1.1 server without a port: it receives connections accepted elsewhere. */
import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { endStalledPipelines } from "./pipeline-watchdog.ts";

/** The time limit for a client to send the head of a request, and the interval of that check. */
const patience: ServerOptions = { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 };

/** For `server.emit("connection", socket)`. */
export function createDetachedServer(handler: RequestListener, options: ServerOptions = {}): Server {
  const server = createServer({ ...patience, ...options }, handler);
  endStalledPipelines(server);
  // Node.js tracks connections (slow heads, closeAllConnections) from the moment that a server listens.
  server.emit("listening");
  return server;
}
