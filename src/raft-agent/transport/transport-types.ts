/** The interface of the transport: options, handlers, limits. */
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
  /** Called for each new connection, so that renewed certificates are used without a restart. */
  readonly material: () => TlsMaterial;
  /**
   * The material that this side presents as a client, if it is another one; `rejectUnauthorized: false` when no peer
   * can be verified.
   */
  readonly clientMaterial?: () => TlsMaterial & { readonly rejectUnauthorized?: boolean };
  /** Callers must present a certificate signed by `ca`. */
  readonly requireClientCertificate: boolean;
  /** The reason to reject a caller with this certificate; null to accept it. */
  readonly rejectReason?: (socket: TLSSocket) => Promise<string | null>;
  /** Whether certificates identify members. If not, a caller may claim to be any member. */
  readonly identifiesMembers?: () => boolean;
  /** Why the caller's certificate is not that of a member with these peer URLs; null when it is. */
  readonly rejectReasonAt?: (socket: TLSSocket, peerUrls: readonly string[]) => string | null;
};

export type TransportHandlers = {
  /** A message of the core, which owns its bytes. Called in the order in which the peer sent. */
  onMessage(message: Message): void;
  /** The first connection with this peer, in either direction, is established. */
  onPeerConnected?(peer: MemberId): void;
  /** The last connection with this peer is closed: called as soon as the socket closes. */
  onPeerDisconnected?(peer: MemberId): void;
  /**
   * Handles an agent-level request. `body` is valid until the promise settles. An error is returned to the requester
   * with its code and message.
   */
  onRequest?(peer: MemberId, kind: number, body: Uint8Array): Promise<Uint8Array>;
  /**
   * Receives a snapshot. Resolves when it is durable here, which is reported to the sender. `chunks` throws when the
   * stream is interrupted; what was written by then must be discarded.
   */
  onSnapshot?(peer: MemberId, metadata: SnapshotMetadata, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** A peer reports that this member was removed from the cluster, which is final: ids are never reused. */
  onRemoved?(): void;
  /** A peer reports that its cluster has replaced this one: `reason` names both. */
  onReplaced?(reason: string): void;
  /** A client was rejected on the peer port. */
  onRejected?(rejection: RejectedConnection): void;
  onLog?(level: "info" | "warn", text: string): void;
  /** The round trip time of a ping, in milliseconds. */
  onRoundTrip?(peer: MemberId, milliseconds: number): void;
};

export type TransportLimits = {
  /** The largest frame that is accepted or sent; 64 MiB. */
  readonly frameBytesMax: number;
  /** Messages are dropped while more than this is queued for a peer; 64 MiB. */
  readonly queueBytesMax: number;
  /** Pending requests to one peer; 10,000. */
  readonly requestsMax: number;
  /** The interval of pings; 500 ms. */
  readonly pingIntervalMs: number;
  /** A connection that delivered nothing for this long is closed; 3,000 ms. */
  readonly deadAfterMs: number;
  /** The time limit for connecting, verifying a certificate and greeting, each; 2,000 ms. */
  readonly handshakeTimeoutMs: number;
  /** The pause before a connection is retried: from the first, doubling, up to the second; 20 and 1,000 ms. */
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** Connections that have not greeted yet; 256. */
  readonly pendingConnectionsMax: number;
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
  pendingConnectionsMax: 256,
};

export type TransportOptions = {
  readonly self: MemberId;
  /** 16 hex digits. */
  readonly clusterId: string;
  /** The URLs at which peers can dial this member; sent to the peers that it dials. */
  readonly advertisedUrls: readonly string[];
  readonly handlers: TransportHandlers;
  readonly random: Random;
  readonly clock?: Clock;
  /** Whether this cluster was rebuilt in place of that one. */
  readonly hasReplaced?: (clusterId: string) => boolean;
  /** The protocol versions that this member supports now; `supportedVersions` if absent. */
  readonly versions?: () => VersionRange;
  readonly tls?: PeerTls;
  /**
   * Finds the peer URLs of an unknown member, by asking the members at `knownUrls`; null when none of them knows it.
   * Only called where certificates identify members.
   */
  readonly findMember?: (peer: MemberId, knownUrls: readonly string[]) => Promise<readonly string[] | null>;
  /** Receives every HTTP/1.1 connection on the peer port. */
  readonly httpServer?: HttpServer;
  /**
   * Receives those whose certificate is for no member of this cluster, though it is one of a member's kind. Such a connection is
   * closed where this is absent or gives none.
   */
  readonly nonMemberHttpServer?: () => HttpServer | undefined;
  readonly limits?: Partial<TransportLimits>;
};

/** Counters of one peer since it was first known. */
export type PeerStatistics = {
  sentBytes: number;
  receivedBytes: number;
  /** Messages that were dropped, because there was no connection or too much was queued. */
  sentFailures: number;
  /** Connections that were lost while in use. */
  receivedFailures: number;
};

/** Shared by the parts of the transport. */
export type TransportContext = {
  readonly options: TransportOptions;
  readonly versions: () => VersionRange;
  readonly limits: TransportLimits;
  readonly now: () => number;
  readonly log: (level: "info" | "warn", text: string) => void;
};
