/** An HTTP/1.1 server that listens nowhere: it is handed connections that somebody else has accepted. */
import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { endStalledPipelines } from "./pipeline-watchdog.ts";

/** How long a client may take for the head of a request, and how often that is looked at. */
const patience: ServerOptions = { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 };

/** For `server.emit("connection", socket)`. */
export function createDetachedServer(handler: RequestListener, options: ServerOptions = {}): Server {
  const server = createServer({ ...patience, ...options }, handler);
  endStalledPipelines(server);
  // Node.js keeps track of connections (slow heads, closeAllConnections) from the moment that a server listens.
  server.emit("listening");
  return server;
}
