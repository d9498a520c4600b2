/** A connection without a network, to an HTTP server of this process. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** Takes the server's end of a connection, for example `(socket) => httpServer.emit("connection", socket)`. */
export type AcceptHttp1 = (socket: Duplex) => void;

export type InMemoryConnection = {
  readonly clientEnd: Duplex;
  /** Tells the server that the client is gone. */
  hangUp(): void;
};

/** The server sees the other end of `origin` as its client. */
export function connectInMemory(acceptHttp1: AcceptHttp1, origin: Duplex): InMemoryConnection {
  const serverEnd = new End();
  const clientEnd = new End(serverEnd);
  const { remoteAddress, remotePort, encrypted } = origin as Socket & { encrypted?: boolean };
  Object.assign(serverEnd, { remoteAddress, remotePort, encrypted });
  serverEnd.on("error", () => undefined);
  acceptHttp1(serverEnd);
  return { clientEnd, hangUp: () => void serverEnd.destroy() };
}

/**
 * One of two ends: what is written here is read there. An end that is destroyed, with an error or without, is read to its
 * end by the other, as a socket is. `duplexPair` of Node.js does neither in one version and hands the error over in
 * another, so that an answer written just before it would be lost.
 */
class End extends Duplex {
  #other: End | undefined;
  /** Lets the other end write on, once this one reads again. */
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
    // Nothing is read there any more, which the end of what comes from there tells.
    if (other === undefined || other.destroyed || other.push(chunk)) done();
    else other.#resumeOther = done;
  }

  override _final(done: () => void): void {
    this.#other?.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const other = this.#other;
    // A writer that waits for this end to read would wait for ever.
    this._read();
    if (other !== undefined && !other.destroyed) process.nextTick(() => other.push(null));
    done(error);
  }
}
