/** A connection without a network, to an HTTP server of this process. */
import type { Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";

/** Takes the server's end of a connection, for example `(socket) => httpServer.emit("connection", socket)`. */
export type AcceptHttp1 = (socket: Duplex) => void;

export type InMemoryConnection = {
  readonly clientEnd: Duplex;
  /** Tells the server that the client is gone; a pair does not pass that on as a network does. */
  hangUp(): void;
};

/** The server sees the other end of `origin` as its client. */
export function connectInMemory(acceptHttp1: AcceptHttp1, origin: Duplex): InMemoryConnection {
  const [clientEnd, serverEnd] = duplexPair();
  const { remoteAddress, remotePort, encrypted } = origin as Socket & { encrypted?: boolean };
  Object.assign(serverEnd, { remoteAddress, remotePort, encrypted });
  serverEnd.on("close", () => clientEnd.push(null));
  serverEnd.on("error", () => undefined);
  acceptHttp1(serverEnd);
  return { clientEnd: clientEnd as Duplex, hangUp: () => void serverEnd.destroy() };
}
