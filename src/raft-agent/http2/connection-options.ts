/** The configuration of a server's connections. */

import { defaultFloodLimits, type FloodLimits } from "./flood-guard.ts";
import type { FlushScheduler } from "./flush-scheduler.ts";
import type { IndexedField } from "./hpack-encoder.ts";
import type { KeepaliveOptions } from "./ping-policy.ts";
import type { ResponseMemory } from "./response-memory.ts";

export type Http2Limits = {
  /** Streams open at once on a connection; more are rejected with REFUSED_STREAM. */
  readonly maxConcurrentStreams: number;
  /** The maximum size of a request's header fields (RFC 9113 §6.5.2); larger requests get 431. */
  readonly maxHeaderListBytes: number;
  /** The size of the table with which a client compresses its headers (RFC 7541 §4.2). */
  readonly headerTableBytes: number;
  /** What a client may send on one stream, and on the connection, before we have read it; at least 65,535. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Responses queued on one connection; a client that lets more accumulate is cut off. */
  readonly maxQueuedBytes: number;
  /** The time limit for the client's preface and first SETTINGS. */
  readonly prefaceTimeoutMs: number;
  readonly flood: FloodLimits;
};

export const defaultHttp2Limits: Http2Limits = {
  maxConcurrentStreams: 65_536,
  maxHeaderListBytes: 65_536,
  headerTableBytes: 4_096,
  streamWindowBytes: 1_048_576,
  connectionWindowBytes: 16 * 1_048_576,
  maxQueuedBytes: 512 * 1_048_576,
  prefaceTimeoutMs: 10_000,
  flood: defaultFloodLimits,
};

/** The state shared by all connections of a server. */
export type ConnectionOptions = {
  readonly limits: Http2Limits;
  readonly keepalive: KeepaliveOptions;
  /** The response fields kept in the peer's dynamic table; see `indexedFields`. */
  readonly indexedFields: readonly IndexedField[];
  readonly flushScheduler: FlushScheduler;
  readonly memory: ResponseMemory;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** `bytes` more do not fit into `memory`: closes the connections that hold it. */
  freeMemory(bytes: number): void;
};
