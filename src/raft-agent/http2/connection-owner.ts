/** What a server connection requires from the server that owns it. */

import { type ConnectionOptions, defaultHttp2Limits, type Http2Limits } from "./connection-options.ts";
import { etcdKeepalive } from "./ping-policy.ts";
import type { RequestHead } from "./request-head.ts";
import { ResponseMemory } from "./response-memory.ts";
// biome-ignore lint/suspicious/noImportCycles: a connection, its streams and its owner know each other; only types.
import type { ServerConnection } from "./server-connection.ts";
// biome-ignore lint/suspicious/noImportCycles: a connection, its streams and its owner know each other; only types.
import type { ServerStream } from "./server-stream.ts";

export type ConnectionOwner = ConnectionOptions & {
  /** Creates the object for a new request; the connection calls its `onOpen` next. */
  createStream(connection: ServerConnection, id: number, head: RequestHead): ServerStream;
  /** A connection is closed because its client does not read its responses; `heldBytes` of responses are dropped. */
  onCutOff(connection: ServerConnection, heldBytes: number): void;
  /** The connection is closed and all its streams have been notified. */
  onClosed(connection: ServerConnection): void;
};

/** Fills in the defaults. */
export function connectionOwner(
  chosen: Pick<ConnectionOwner, "flushScheduler" | "createStream" | "onClosed"> &
    Partial<Omit<ConnectionOwner, "limits">> & { readonly limits?: Partial<Http2Limits> },
): ConnectionOwner {
  const limits = { ...defaultHttp2Limits, ...chosen.limits };
  if (Math.min(limits.streamWindowBytes, limits.connectionWindowBytes) < 65_535)
    throw new RangeError(
      "HTTP/2 receive windows are below 65535 bytes: a client may use that much before it receives a smaller setting",
    );
  return {
    keepalive: etcdKeepalive,
    indexedFields: [],
    memory: new ResponseMemory(),
    freeMemory: () => undefined,
    onCutOff: () => undefined,
    nowMs: () => performance.now(),
    ...chosen,
    limits,
  };
}
