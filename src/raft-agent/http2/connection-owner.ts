/** What a server connection needs from the server that owns it. */
import { AnswerMemory } from "./answer-memory.ts";
import { type ConnectionOptions, defaultHttp2Limits, type Http2Limits } from "./connection-options.ts";
import { etcdKeepalive } from "./ping-policy.ts";
import type { RequestHead } from "./request-head.ts";
// biome-ignore lint/suspicious/noImportCycles: a connection, its streams and its owner know each other; only types.
import type { ServerConnection } from "./server-connection.ts";
// biome-ignore lint/suspicious/noImportCycles: a connection, its streams and its owner know each other; only types.
import type { ServerStream } from "./server-stream.ts";

export type ConnectionOwner = ConnectionOptions & {
  /** Makes the object for a new request; the connection calls its `onOpen` next. */
  createStream(connection: ServerConnection, id: number, head: RequestHead): ServerStream;
  /** A connection is ended since its client does not read what it asked for; `heldBytes` of answers are dropped. */
  onCutOff(connection: ServerConnection, heldBytes: number): void;
  /** The connection is gone and all its streams have been told. */
  onClosed(connection: ServerConnection): void;
};

/** Fills in everything that a server does not care to choose. */
export function connectionOwner(
  chosen: Pick<ConnectionOwner, "turnEnd" | "createStream" | "onClosed"> &
    Partial<Omit<ConnectionOwner, "limits">> & { readonly limits?: Partial<Http2Limits> },
): ConnectionOwner {
  const limits = { ...defaultHttp2Limits, ...chosen.limits };
  if (Math.min(limits.streamWindowBytes, limits.connectionWindowBytes) < 65_535)
    throw new RangeError(
      "HTTP/2 receive windows are below 65535 bytes: a client may use that much before it hears of less",
    );
  return {
    keepalive: etcdKeepalive,
    hotFields: [],
    memory: new AnswerMemory(),
    relieve: () => undefined,
    onCutOff: () => undefined,
    nowMs: () => performance.now(),
    ...chosen,
    limits,
  };
}
