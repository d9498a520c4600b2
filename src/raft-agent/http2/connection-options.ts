/** What the connections of a server are configured with. */
import type { AnswerMemory } from "./answer-memory.ts";
import { defaultFloodLimits, type FloodLimits } from "./flood-guard.ts";
import type { HotField } from "./hpack-encoder.ts";
import type { KeepaliveOptions } from "./ping-policy.ts";
import type { TurnEnd } from "./turn-end.ts";

export type Http2Limits = {
  /** Streams open at once on a connection; more are refused with REFUSED_STREAM. */
  readonly maxConcurrentStreams: number;
  /** Size of a request's header fields (RFC 9113 §6.5.2); larger requests get 431. */
  readonly maxHeaderListBytes: number;
  /** Size of the table with which a client compresses its headers (RFC 7541 §4.2). */
  readonly headerTableBytes: number;
  /** What a client may send on one stream, and on the connection, before we have read it; at least 65,535. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Answers that wait on one connection; a client that lets more pile up is cut off. */
  readonly maxQueuedBytes: number;
  /** How long a client may take for its preface and first SETTINGS. */
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

/** What all connections of a server share. */
export type ConnectionOptions = {
  readonly limits: Http2Limits;
  readonly keepalive: KeepaliveOptions;
  /** The response fields worth a place in the peer's table; see `hotFields`. */
  readonly hotFields: readonly HotField[];
  readonly turnEnd: TurnEnd;
  readonly memory: AnswerMemory;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** `bytes` more do not fit into `memory`: ends the connections that hold it. */
  relieve(bytes: number): void;
};
