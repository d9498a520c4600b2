/**
 * The messages between members, as one tagged union. The core produces and consumes these values; encoding and
 * delivery are the transport's.
 */
import type { SnapshotMetadata } from "./configuration.ts";
import type { Entry, LogIndex, MemberId, Term } from "./entry.ts";

/** Requests a vote (Raft §5.2), or with `preVote` asks whether a vote would be granted (thesis §9.6). */
export type VoteRequest = {
  readonly kind: "voteRequest";
  readonly preVote: boolean;
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
  /** The leader itself requested this election (thesis §3.10): leader stickiness does not apply. */
  readonly leadershipTransfer: boolean;
};

export type VoteResponse = {
  readonly kind: "voteResponse";
  readonly preVote: boolean;
  readonly granted: boolean;
};

/** Replicates entries that follow (`previousIndex`, `previousTerm`) (Raft §5.3). */
export type AppendRequest = {
  readonly kind: "appendRequest";
  readonly previousIndex: LogIndex;
  readonly previousTerm: Term;
  readonly entries: readonly Entry[];
  readonly commitIndex: LogIndex;
  /** False for an append that only carries the commit index: its response would carry no news. */
  readonly needsAck: boolean;
};

/**
 * Answers an append or an installed snapshot. Accepted: the log is durable up to `index` and equal to the leader's.
 * Rejected: `index` is the request's `previousIndex`, and the hint lets the leader skip whole terms.
 */
export type AppendResponse = {
  readonly kind: "appendResponse";
  readonly accepted: boolean;
  readonly index: LogIndex;
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
};

/** Maintains leadership; `readRound` numbers the batch of linearizable reads it confirms (thesis §6.4). */
export type HeartbeatRequest = {
  readonly kind: "heartbeatRequest";
  readonly commitIndex: LogIndex;
  readonly readRound: number;
};

export type HeartbeatResponse = {
  readonly kind: "heartbeatResponse";
  readonly readRound: number;
};

/**
 * Replaces a follower's log with a snapshot (Raft §7). The core only names the snapshot: its bytes are sent
 * separately, and the receiving driver passes this message to its core once they are complete and durable.
 */
export type SnapshotRequest = {
  readonly kind: "snapshotRequest";
  readonly snapshot: SnapshotMetadata;
};

/** The leader asks its successor to start an election at once (thesis §3.10). */
export type TimeoutNowRequest = { readonly kind: "timeoutNowRequest" };

/** A follower forwards client proposals to its leader. `proposals` are entry payloads. */
export type ForwardedProposals = {
  readonly kind: "forwardedProposals";
  readonly proposals: readonly Uint8Array[];
};

/** A follower asks the leader for a read index; `context` is the asking member's own number for the batch. */
export type ReadIndexRequest = { readonly kind: "readIndexRequest"; readonly context: number };

export type ReadIndexResponse = {
  readonly kind: "readIndexResponse";
  readonly context: number;
  readonly index: LogIndex;
};

export type MessageBody =
  | VoteRequest
  | VoteResponse
  | AppendRequest
  | AppendResponse
  | HeartbeatRequest
  | HeartbeatResponse
  | SnapshotRequest
  | TimeoutNowRequest
  | ForwardedProposals
  | ReadIndexRequest
  | ReadIndexResponse;

export type MessageKind = MessageBody["kind"];

/** Every message carries its sender's term, by which stale members detect that they are stale (Raft §5.1). */
export type Message = {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: Term;
} & MessageBody;

/** A whole message of one kind. */
export type MessageOf<Kind extends MessageKind> = Extract<Message, { readonly kind: Kind }>;
