/**
 * gRPC as services see it: bytes in, bytes out, a status at the end. How the bytes are framed is the business of the
 * http2 room; services never see a frame.
 */
import type { StatusCode } from "../api/status-code.ts";

/** A message that is made part by part, since it may be large. */
export type MessageSource = {
  /** About how long the message will be. */
  expectedBytes(): number;
  /**
   * The next part, which belongs to the caller and is not empty; null at the end. "again": the parts so far are void, and
   * the message begins anew. A source that cannot go on ends its call.
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

/** How calls of one connection share memory and the event loop when their answers are large. */
export type AnswerPacing = {
  /** A small answer may be made at once: few wait for the client, and this turn has time. */
  readonly hasRoom: boolean;
  /** So may a large one: the client has taken most of the answers before. */
  readonly hasRoomForLarge: boolean;
  /** Runs `task` when there is room for a large answer, unless the call ends before. It holds `requestBytes` until then. */
  whenRoom(requestBytes: number, task: () => void): void;
  /** Sends the one message of a unary call and finishes the call. */
  sendFrom(source: MessageSource): void;
};

/** One request in flight, seen from the server. */
export type ServerCall = {
  /** For example `/etcdserverpb.KV/Put`. */
  readonly path: string;
  /** The first value of a request header (lower-case name; `-bin` values are still base64), or undefined. */
  header(name: string): string | undefined;
  /** Common name of the verified client certificate, or undefined. */
  readonly clientCommonName: string | undefined;
  /** Who asks, when another member forwards the call and has made sure of the user. */
  readonly forwardedCaller?: { readonly user: string; readonly authRevision: number };
  /** The id under which another member forwards a change, so that it is carried out once. */
  readonly changeId?: string;
  /** Address of the client, for logs. */
  readonly remoteAddress: string;
  /** Absent where the answer stays within the process. */
  readonly pacing?: AnswerPacing;
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

/** What a streaming method does with what the client does. Every callback runs on the event loop, never nested. */
export type StreamHandler = {
  /** One whole message. The bytes are valid only until the callback returns: copy what is kept. */
  onMessage(message: Uint8Array): void;
  /** The client will send no more. */
  onHalfClose(): void;
  /** The call is over, for whatever reason, `finish` included; release everything. Called exactly once. */
  onClose(): void;
  /** The buffered bytes have gone out after `send` returned false. */
  onDrain(): void;
};

export type Method =
  /** `request` is valid only until `handle` returns: copy what is kept. The answer may come later. */
  | {
      readonly kind: "unary";
      readonly path: string;
      handle(request: Uint8Array, call: ServerCall): void;
      onClose?(call: ServerCall): void;
    }
  | { readonly kind: "stream"; readonly path: string; open(call: ServerCall): StreamHandler };
