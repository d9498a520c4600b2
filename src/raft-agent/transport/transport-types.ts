/** What the transport asks for and tells: options, handlers, limits. */
import type { Server as HttpServer } from "node:http";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { RejectedConnection } from "../../base/rejected-connection.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { MemberId } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import type { VersionRange } from "./handshake.ts";

/** PEM texts; a new object whenever any of them changed. */
export type TlsMaterial = {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
  readonly ca: string | Buffer;
} & Pick<SecureContextOptions, "ciphers" | "minVersion" | "maxVersion">;

export type PeerTls = {
  /** Asked for each new connection, so that renewed certificates are used without a restart. */
  readonly material: () => TlsMaterial;
  /** What this side shows when it calls, if not the same; `rejectUnauthorized: false` when nobody can be checked. */
  readonly callingMaterial?: () => TlsMaterial & { readonly rejectUnauthorized?: boolean };
  /** Callers have to show a certificate that `ca` has signed. */
  readonly requireClientCertificate: boolean;
  /** Why a caller with this certificate must not come in; null when it may. */
  readonly refuse?: (socket: TLSSocket) => Promise<string | null>;
  /** Whether certificates tell which member a caller is. If not, a caller may say that it is any member. */
  readonly identifiesMembers?: () => boolean;
  /** Why the caller's certificate is not that of a member with these peer URLs; null when it is. */
  readonly refuseAt?: (socket: TLSSocket, peerUrls: readonly string[]) => string | null;
};

export type TransportHandlers = {
  /** A message of the core. Its bytes belong to it. Called in the order in which the peer sent. */
  onMessage(message: Message): void;
  /** The first connection with this peer, in whichever direction, stands. */
  onPeerConnected?(peer: MemberId): void;
  /** The last connection with this peer is gone: called as soon as the socket closes. */
  onPeerDisconnected?(peer: MemberId): void;
  /**
   * Answers a request of the agent level. `body` is valid until the promise settles. What it throws reaches the asker with
   * its code and message.
   */
  onRequest?(peer: MemberId, kind: number, body: Uint8Array): Promise<Uint8Array>;
  /**
   * Takes a snapshot. Resolves when it is durable here, and the sender learns that. `chunks` throws when the stream breaks off;
   * what was written by then has to be thrown away.
   */
  onSnapshot?(peer: MemberId, metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** A peer says that this member was removed from the cluster, which is final: ids are never used again. */
  onRemoved?(): void;
  /** Somebody was refused on the peer port. */
  onRejected?(rejection: RejectedConnection): void;
  onLog?(level: "info" | "warn", text: string): void;
  /** The time a ping took there and back, in milliseconds. */
  onRoundTrip?(peer: MemberId, milliseconds: number): void;
};

export type TransportLimits = {
  /** Largest frame that is taken or sent; 64 MiB. */
  readonly frameBytesMax: number;
  /** Messages are dropped while more than this waits for a peer; 64 MiB. */
  readonly queueBytesMax: number;
  /** Requests to one peer that wait for their answer; 10,000. */
  readonly requestsMax: number;
  /** How often a connection is tested; 500 ms. */
  readonly pingIntervalMs: number;
  /** A connection that delivered nothing for this long is closed; 3,000 ms. */
  readonly deadAfterMs: number;
  /** For connecting, judging a certificate and greeting, each; 2,000 ms. */
  readonly handshakeTimeoutMs: number;
  /** The pause before a connection is tried again: from the first, doubling, up to the second; 20 and 1,000 ms. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Connections that have not greeted yet; 256. */
  readonly strangersMax: number;
};

export const defaultTransportLimits: TransportLimits = {
  frameBytesMax: 64 * 1024 * 1024,
  queueBytesMax: 64 * 1024 * 1024,
  requestsMax: 10_000,
  pingIntervalMs: 500,
  deadAfterMs: 3_000,
  handshakeTimeoutMs: 2_000,
  retryMinMs: 20,
  retryMaxMs: 1_000,
  strangersMax: 256,
};

export type TransportOptions = {
  readonly self: MemberId;
  /** 16 hex digits. */
  readonly clusterId: string;
  /** Where peers can call this member back; told to those that it calls. */
  readonly advertisedUrls: readonly string[];
  readonly handlers: TransportHandlers;
  readonly random: Random;
  readonly clock?: Clock;
  /** The versions of the protocol that this member speaks now; `spokenVersions` without it. */
  readonly versions?: () => VersionRange;
  readonly tls?: PeerTls;
  /**
   * The peer URLs of a member that is not known here, from those that are known at `knownUrls`; null when none of them
   * knows it. Asked only where certificates say who a caller is.
   */
  readonly findMember?: (peer: MemberId, knownUrls: readonly string[]) => Promise<readonly string[] | null>;
  /** Gets every connection on the peer port that speaks HTTP/1.1. */
  readonly httpServer?: HttpServer;
  readonly limits?: Partial<TransportLimits>;
};

/** Counters of one peer since it was first known. */
export type PeerStatistics = {
  sentBytes: number;
  receivedBytes: number;
  /** Messages that were dropped, because there was no connection or too much was waiting. */
  sentFailures: number;
  /** Connections that broke off while they were in use. */
  receivedFailures: number;
};

/** What the parts of the transport share. */
export type TransportContext = {
  readonly options: TransportOptions;
  readonly versions: () => VersionRange;
  readonly limits: TransportLimits;
  readonly now: () => number;
  readonly log: (level: "info" | "warn", text: string) => void;
};
