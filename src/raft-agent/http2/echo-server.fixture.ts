/** For tests: an HTTP/2 server that echoes every body, behind the same listener as the real one. */

import { type ClientListenerOptions, listenForClients } from "./client-listener.ts";
import type { Http2Limits } from "./connection-options.ts";
import { connectionOwner } from "./connection-owner.ts";
import { FlushScheduler } from "./flush-scheduler.ts";
import { indexedFields } from "./hpack-encoder.ts";
import type { KeepaliveOptions } from "./ping-policy.ts";
import type { ResponseMemory } from "./response-memory.ts";
import { ServerConnection } from "./server-connection.ts";
import { ServerStream } from "./server-stream.ts";

const fields = indexedFields([
  [":status", "200"],
  ["x-end", "yes"],
]);
const nothing = new Uint8Array();

export type EchoServer = {
  readonly port: number;
  readonly connections: Set<ServerConnection>;
  /** Streams that ended by a reset or with their connection. */
  aborted: number;
  /** When set, `send` responds with this many bytes to each request instead of echoing. */
  responseBytes: number | undefined;
  /** Called before each such response. */
  onResponse: () => void;
  /** Connections that were closed because their clients did not read. */
  cutOff: number;
  readonly seenCommonNames: (string | undefined)[];
  close(): Promise<void>;
};

export async function startEchoServer(
  host: string,
  limits: Partial<Http2Limits> = {},
  keepalive?: KeepaliveOptions,
  listener: Partial<ClientListenerOptions> = {},
  more: { readonly memory?: ResponseMemory } = {},
): Promise<EchoServer> {
  const connections = new Set<ServerConnection>();
  const options = connectionOwner({
    limits,
    indexedFields: fields,
    flushScheduler: new FlushScheduler(),
    createStream: (connection, id, head) => new EchoStream(server, connection, id, head),
    onClosed: (connection) => connections.delete(connection),
    onCutOff: () => server.cutOff++,
    freeMemory: () => {
      const most = [...connections].sort((a, b) => b.heldBytes - a.heldBytes)[0];
      most?.cutOff();
    },
    ...more,
    ...(keepalive === undefined ? {} : { keepalive }),
  });
  const server: EchoServer = {
    get port() {
      return listening.port;
    },
    connections,
    aborted: 0,
    responseBytes: undefined,
    onResponse: () => {},
    cutOff: 0,
    seenCommonNames: [],
    close: async () => {
      for (const connection of connections) connection.destroy();
      await listening.close();
    },
  };
  const listening = await listenForClients({
    host,
    port: 0,
    onHttp2: (socket, commonName) => {
      server.seenCommonNames.push(commonName);
      connections.add(new ServerConnection(socket, options, commonName));
    },
    ...listener,
  });
  return server;
}

class EchoStream extends ServerStream {
  readonly #server: EchoServer;

  constructor(server: EchoServer, ...rest: ConstructorParameters<typeof ServerStream>) {
    super(...rest);
    this.#server = server;
  }

  override onOpen(endStream: boolean): void {
    this.connection.sender.indexed(this, fields.slice(0, 1), false);
    if (endStream) this.#end();
  }

  override onData(bytes: Buffer, start: number, end: number, endStream: boolean): void {
    if (end > start && this.#server.responseBytes === undefined)
      this.connection.sender.data(this, nothing, bytes.subarray(start, end));
    if (endStream) this.#end();
  }

  override onDrain(): void {}

  override onAbort(): void {
    this.#server.aborted++;
  }

  #end(): void {
    const { responseBytes } = this.#server;
    this.#server.onResponse();
    if (responseBytes !== undefined) this.connection.sender.data(this, nothing, Buffer.alloc(responseBytes, 7));
    this.connection.sender.trailers(this, fields.slice(1), Buffer.from("\0\x05x-end\x03yes", "latin1"));
  }
}
