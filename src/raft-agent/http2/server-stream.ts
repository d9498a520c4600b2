/**
 * One request and its response on a connection (RFC 9113 §5): the state kept by the connection, and the handlers of
 * the layer above. The layer above extends it, so that a request is one object, not two.
 */
import type { RequestHead } from "./request-head.ts";
// biome-ignore lint/suspicious/noImportCycles: a connection, its streams and its owner know each other; only types.
import type { ServerConnection } from "./server-connection.ts";

export abstract class ServerStream {
  readonly connection: ServerConnection;
  readonly id: number;
  readonly head: RequestHead;
  /** The client has sent END_STREAM. */
  remoteClosed = false;
  /** We have sent END_STREAM, or the stream was reset: nothing more is sent. */
  localClosed = false;
  /** What the peer permits us to send on this stream; may be negative after a change of its settings (§6.9.2). */
  sendWindow: number;
  /** What the client may still send before the next WINDOW_UPDATE. */
  receiveWindow: number;
  receivedBytes = 0;
  /** The window of this stream is not reopened until `ServerConnection.resumeReading`: its data is not read yet. */
  readingPaused = false;
  /**
   * The layer above sends nothing more until `onDrain` once a piece had to wait: a client that does not read it costs
   * little.
   */
  readonly paced: boolean;
  /** The queue is a large response, of which a connection has one at a time. */
  large = false;
  /** Bytes that wait for a window or for the socket, oldest first; undefined in the usual case of none. */
  queue: Uint8Array[] | undefined = undefined;
  /** How much of `queue[0]` has been sent. */
  queueOffset = 0;
  /** Header block that ends the stream once the queue is empty. */
  queuedTrailers: Buffer | undefined = undefined;
  /** In the connection's list of streams that may send. */
  listed = false;

  constructor(connection: ServerConnection, id: number, head: RequestHead, paced = false) {
    this.connection = connection;
    this.id = id;
    this.head = head;
    this.paced = paced;
    this.sendWindow = connection.peerSettings.initialWindowBytes;
    this.receiveWindow = connection.streamWindowBytes;
  }

  /** The connection has registered the stream; `endStream` when there is no body. */
  abstract onOpen(endStream: boolean): void;
  /** Body bytes `[start, end)`, valid only during the call. */
  abstract onData(bytes: Buffer, start: number, end: number, endStream: boolean): void;
  /** The queue has been sent. */
  abstract onDrain(): void;
  /** The stream was reset or the connection closed; not called after a regular end. */
  abstract onAbort(): void;
}
