/** A connection without a network, to an HTTP server of this process. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** Receives the server's end of a connection, for example `(socket) => httpServer.emit("connection", socket)`. */
export type AcceptHttp1 = (socket: Duplex) => void;

export type InMemoryConnection = {
  readonly clientEnd: Duplex;
  /** Tells the server that the client has disconnected. */
  disconnect(): void;
};

/** The server sees the other end of `origin` as its client. */
export function connectInMemory(acceptHttp1: AcceptHttp1, origin: Duplex): InMemoryConnection {
  const serverEnd = new End();
  const clientEnd = new End(serverEnd);
  const { remoteAddress, remotePort, encrypted } = origin as Socket & { encrypted?: boolean };
  Object.assign(serverEnd, { remoteAddress, remotePort, encrypted });
  serverEnd.on("error", () => undefined);
  acceptHttp1(serverEnd);
  return { clientEnd, disconnect: () => void serverEnd.destroy() };
}

/**
 * One of two ends: what is written to one is read from the other. An end that is destroyed, with or without an error,
 * is read to its end by the other, as with a socket. `duplexPair` of Node.js does neither in one version and passes
 * the error across in another, so that a response written just before it would be lost.
 */
class End extends Duplex {
  #other: End | undefined;
  /** Lets the other end continue writing once this one reads again. */
  #resumeOther: (() => void) | undefined = undefined;

  constructor(other?: End) {
    super();
    this.#other = other;
    if (other !== undefined) other.#other = this;
  }

  override _read(): void {
    const resume = this.#resumeOther;
    this.#resumeOther = undefined;
    resume?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const other = this.#other;
    // The other end no longer reads, which the end of its own data reports.
    if (other === undefined || other.destroyed || other.push(chunk)) done();
    else other.#resumeOther = done;
  }

  override _final(done: () => void): void {
    this.#other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const other = this.#other;
    // A writer that waits for this end to read would wait forever.
    this._read();
    if (other !== undefined && !other.destroyed) process.nextTick(() => other.push(null));
    done(error);
  }
}
