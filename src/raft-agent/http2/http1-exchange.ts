/**
 * Handles an HTTP/2 request with an HTTP/1.1 server of this process: the stream becomes a request of `node:http`'s
 * client on one end of an in-memory socket pair, and the server gets the other end. So every HTTP version ends at the
 * same handler, and no HTTP/1.1 is written or parsed here. Fields are translated according to RFC 9113 §8.2.2 and
 * §8.3.1.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { ErrorCode } from "./frame.ts";
import { encodeStateless } from "./hpack-encoder.ts";
import { type AcceptHttp1, connectInMemory } from "./in-memory-connection.ts";
import { connectionFields, type RequestHead } from "./request-head.ts";
import type { ServerConnection } from "./server-connection.ts";
import { ServerStream } from "./server-stream.ts";

/** Concurrent exchanges on one connection; each may hold a body and a parser in memory, so more are rejected. */
export const exchangesMax = 1_000;

const open = new WeakMap<ServerConnection, number>();
const nothing = new Uint8Array(0);

export class Http1Exchange extends ServerStream {
  readonly #acceptHttp1: AcceptHttp1;
  #request: ClientRequest | undefined = undefined;
  #response: IncomingMessage | undefined = undefined;
  #disconnect: () => void = () => {};
  #over = false;

  constructor(connection: ServerConnection, id: number, head: RequestHead, acceptHttp1: AcceptHttp1) {
    super(connection, id, head, true);
    this.#acceptHttp1 = acceptHttp1;
  }

  override onOpen(endStream: boolean): void {
    const { connection, head } = this;
    const count = open.get(connection) ?? 0;
    open.set(connection, count + 1);
    if (count >= exchangesMax) this.#fail(ErrorCode.refusedStream);
    else if (head.method === "CONNECT") this.#reject(405);
    else {
      try {
        this.#request = this.#send(endStream);
      } catch {
        // Bytes that HTTP/2 permits in names, values or the path but HTTP/1.1 does not.
        this.#reject(400);
      }
    }
  }

  override onData(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    const request = this.#request;
    if (this.#over || request === undefined) return;
    if (end > start && !request.write(Buffer.from(bytes.subarray(start, end)))) this.readingPaused = true;
    if (endStream) request.end();
  }

  override onDrain(): void {
    this.#response?.resume();
  }

  override onAbort(): void {
    this.#close();
  }

  #send(endStream: boolean): ClientRequest {
    const { method, path } = this.head;
    const headers = requestHeaders(this.head, endStream);
    const request = httpRequest({ method, path, headers, setHost: false, createConnection: () => this.#connect() });
    request.on("information", ({ statusCode }) => {
      if (!this.#over) this.connection.sender.block(this, encodeStateless([[":status", String(statusCode)]]), false);
    });
    request.on("response", (response) => this.#onResponse(response));
    request.on("drain", () => this.connection.resumeReading(this));
    request.on("error", () => this.#fail(ErrorCode.internalError));
    // The server may want to start before the body does, as watches do.
    if (endStream) request.end();
    else request.flushHeaders();
    return request;
  }

  #connect(): Duplex {
    const { clientEnd, disconnect } = connectInMemory(this.#acceptHttp1, this.connection.socket);
    this.#disconnect = disconnect;
    return clientEnd;
  }

  #onResponse(response: IncomingMessage): void {
    if (this.#over) return;
    this.#response = response;
    const { sender } = this.connection;
    const bodyless = this.head.method === "HEAD" || response.headers["content-length"] === "0";
    sender.block(this, encodeStateless(responseFields(response)), bodyless);
    if (bodyless) {
      this.#close();
      return;
    }
    response.on("data", (chunk: Buffer) => {
      if (!this.#over && !sender.data(this, nothing, chunk)) response.pause();
    });
    response.on("end", () => {
      if (this.#over) return;
      sender.end(this);
      this.#close();
    });
    response.on("error", () => this.#fail(ErrorCode.internalError));
  }

  /** Responds without involving the server. */
  #reject(status: number): void {
    this.connection.sender.block(this, encodeStateless([[":status", String(status)]]), true);
    this.#close();
  }

  #fail(code: ErrorCode): void {
    if (this.#over) return;
    this.connection.resetStream(this, code);
    this.#close();
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    open.set(this.connection, (open.get(this.connection) ?? 1) - 1);
    this.#request?.destroy();
    this.#disconnect();
  }
}

function requestHeaders({ fields, authority, contentLength }: RequestHead, endStream: boolean): OutgoingHttpHeaders {
  const headers = new Map<string, string[]>();
  for (const [at, name] of fields.names.entries()) {
    // `te` concerns the connection, too; :authority takes precedence over host.
    if (name.startsWith(":") || name === "te" || name === "host") continue;
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [fields.values[at]!]);
    else values.push(fields.values[at]!);
  }
  headers.set("host", [authority]);
  // Otherwise the client would frame the body by its own assumption of which methods have one.
  if (!endStream && contentLength < 0) headers.set("transfer-encoding", ["chunked"]);
  return Object.fromEntries(headers);
}

function responseFields({ statusCode, rawHeaders }: IncomingMessage): (readonly [string, string])[] {
  const fields: (readonly [string, string])[] = [[":status", String(statusCode)]];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    if (!connectionFields.has(name)) fields.push([name, rawHeaders[at + 1]!]);
  }
  return fields;
}
