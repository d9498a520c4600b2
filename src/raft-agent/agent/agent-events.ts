/**
 * The events of a member's layers. Calls go down, from services to consensus to the log; events go up, to all
 * subscribers, in the order of subscription and within the turn in which they happen. The emitter is created before
 * all layers, so that none of them depends on the ones above it.
 */
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { PeerRequest, PeerResponse } from "../consensus/peer-request.ts";
import type { MethodCounters } from "../grpc/method-counters.ts";
import type { MeasuredBackup } from "../metrics/backup-metrics.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import type { LogIndex, MemberId, Term } from "../raft/entry.ts";
import type { Message } from "../raft/message.ts";
import type { SoftState } from "../raft/ready.ts";
import type { MembershipChange } from "../state-machine/membership.ts";

/** A request of a peer, or of this member itself. Exactly one of the two must be called. */
export type PeerRequestEvent = {
  readonly from: MemberId;
  readonly request: PeerRequest;
  readonly answer: (answer: PeerResponse) => void;
  readonly reject: (error: Error) => void;
};

/** A snapshot that is durable beside the log. Exactly one of the two must be called. */
export type ReceivedSnapshot = {
  readonly from: MemberId;
  /** The term of the leader that sent it. */
  readonly term: Term;
  readonly metadata: SnapshotMetadata;
  readonly taken: () => void;
  readonly failed: (error: unknown) => void;
};

type AgentEventMap = {
  /** The disk, the log, the store or the core failed: this member must stop. */
  failed: [error: unknown];

  // The log and the store.
  logSynced: [durationMs: number, bytes: number];
  storeCommitted: [durationMs: number];
  compactionSlice: [durationMs: number];
  compacted: [durationMs: number, removedRevisions: number];
  hashed: [durationMs: number];
  snapshotExported: [durationMs: number];
  /** Whether a snapshot is being moved into the store. */
  snapshotApplying: [inProgress: boolean];
  /** The store's content was replaced, in this turn. */
  snapshotInstalled: [index: LogIndex];

  // Peers.
  message: [message: Message];
  peerConnected: [peer: MemberId];
  peerDisconnected: [peer: MemberId];
  peerRoundTrip: [peer: MemberId, durationMs: number];
  peerRequest: [asked: PeerRequestEvent];
  snapshotReceived: [snapshot: ReceivedSnapshot, durationMs: number];
  /** A peer reports that the cluster has removed this member. */
  removed: [];
  /** A peer reports that its cluster has replaced this one. */
  replaced: [reason: string];

  // Consensus.
  softStateChanged: [state: SoftState];
  leaderElected: [state: SoftState];
  applied: [index: LogIndex, bytes: number];
  appliedSlowly: [index: LogIndex, durationMs: number];
  readConfirmed: [context: number, index: LogIndex];
  readFailed: [context: number];
  heartbeatLate: [];
  /** Everything that arrived in one turn of the event loop has been processed, and answered as far as possible. */
  turnEnded: [];

  // The state machine and the services.
  membershipChanged: [change: MembershipChange];
  leaseGranted: [ttlSeconds: number];
  /** Drain the clients; `done` is called once they have been notified, or after a while. */
  drainRequested: [done: () => void];

  /** Every 100 ms. */
  housekeeping: [];

  /** A backup that this member has taken by itself, or that was there when it started. */
  backupTaken: [cluster: string, backup: MeasuredBackup];
  backupFailed: [cluster: string];

  // Clients.
  callHandled: [method: MethodCounters, seconds: number];
  /** A client uses HTTP/1.1, or sends a request over HTTP/2 that is not gRPC. */
  http1Connection: [socket: Duplex];
};

export type AgentEvents = EventEmitter<AgentEventMap>;

export function createAgentEvents(): AgentEvents {
  return new EventEmitter<AgentEventMap>();
}
