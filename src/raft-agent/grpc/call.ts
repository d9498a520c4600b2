/**
 * gRPC as seen by services: bytes in, bytes out, a status at the end. Framing is up to the http2 module; services
 * never see a frame.
 */
import type { StatusCode } from "../api/status-code.ts";

/** A message that is built part by part, since it may be large. */
export type MessageSource = {
  /** The approximate length of the message. */
  expectedBytes(): number;
  /**
   * The next part, which is owned by the caller and is not empty; null at the end. "again": the parts so far are void,
   * and the message starts over. A source that cannot continue ends its call.
   */
  next(): Uint8Array | "again" | null;
};

/** All parts of a message at once. */
export function wholeMessage(source: MessageSource): Uint8Array {
  let parts: Uint8Array[] = [];
  for (let part = source.next(); part !== null; part = source.next()) {
    if (part === "again") parts = [];
    else parts.push(part);
  }
  return Buffer.concat(parts);
}

/** How calls of one connection share memory and the event loop when their responses are large. */
export type ResponsePacing = {
  /** A small response may be built at once: few wait for the client, and this turn has time. */
  readonly hasRoom: boolean;
  /** A large one may, too: the client has taken most of the previous responses. */
  readonly hasRoomForLarge: boolean;
  /**
   * Runs `task` when there is room for a large response, unless the call ends before. It holds `requestBytes` until
   * then.
   */
  whenRoom(requestBytes: number, task: () => void): void;
  /** Sends the one message of a unary call and finishes the call. */
  sendFrom(source: MessageSource): void;
};

/** One request in flight, from the server's side. */
export type ServerCall = {
  /** For example `/etcdserverpb.KV/Put`. */
  readonly path: string;
  /** The first value of a request header (lowercase name; `-bin` values are still base64), or undefined. */
  header(name: string): string | undefined;
  /** Common name of the verified client certificate, or undefined. */
  readonly clientCommonName: string | undefined;
  /** The user of a call that another member forwards after authenticating it. */
  readonly forwardedCaller?: { readonly user: string; readonly authRevision: number };
  /** The id under which another member forwards a change, so that it is applied once. */
  readonly changeId?: string;
  /** Address of the client, for logs. */
  readonly remoteAddress: string;
  /** Absent where the response stays within the process. */
  readonly pacing?: ResponsePacing;
  /** False once the client has cancelled, the deadline has passed or the call is finished: sending is then a no-op. */
  readonly open: boolean;
  /**
   * Sends one message. The bytes are copied or written before it returns, so the caller may reuse them.
   * Returns false when more is buffered than the peer's window takes: wait for `StreamHandler.onDrain`.
   */
  send(message: Uint8Array): boolean;
  /** Ends the call: `ok` by default. A unary method sends exactly one message before an `ok`. */
  finish(code?: StatusCode, message?: string): void;
};

/** The handlers of a streaming method for the client's events. Every callback runs on the event loop, never nested. */
export type StreamHandler = {
  /** One whole message. The bytes are valid only until the callback returns: copy what is kept. */
  onMessage(message: Uint8Array): void;
  /** The client sends no more messages. */
  onHalfClose(): void;
  /** The call is over, for whatever reason, including `finish`; release everything. Called exactly once. */
  onClose(): void;
  /** The buffered bytes were sent after `send` returned false. */
  onDrain(): void;
};

export type Method =
  /** `request` is valid only until `handle` returns: copy what is kept. The response may follow later. */
  | {
      readonly kind: "unary";
      readonly path: string;
      handle(request: Uint8Array, call: ServerCall): void;
      onClose?(call: ServerCall): void;
    }
  | { readonly kind: "stream"; readonly path: string; open(call: ServerCall): StreamHandler };
