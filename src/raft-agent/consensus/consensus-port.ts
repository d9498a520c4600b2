/**
 * What services require from consensus. `ConsensusClient` implements it; tests have a single-member implementation
 * that applies at once. Calls return at once: results of proposals and reads arrive through `Proposer` and
 * `ReadQueue`.
 */
import type { Configuration } from "../raft/configuration.ts";
import type { LogIndex, MemberId, Term } from "../raft/entry.ts";
import type { ConfigurationChange, ConfigurationResult, ProposalResult } from "../raft/event.ts";
import type { Role } from "../raft/ready.ts";
import type { PeerRequest, PeerResponse } from "./peer-request.ts";

/** The leader's view of another member's log; followers report an empty list. */
export type PeerProgress = {
  readonly member: MemberId;
  /** The last entry known to be durable on the member. */
  readonly matchIndex: LogIndex;
  /** Heard from within the last election timeout. */
  readonly active: boolean;
};

export type ConsensusStatus = {
  readonly role: Role;
  readonly term: Term;
  readonly leader: MemberId | null;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly configuration: Configuration;
  readonly progress: readonly PeerProgress[];
};

export type ConsensusPort = {
  readonly memberId: MemberId;
  readonly electionTimeoutMs: number;

  // Cheap getters for the hot path, without building a status.
  leader(): MemberId | null;
  /** Whether this member is the leader, as far as it knows. */
  isLeader(): boolean;
  term(): Term;
  commitIndex(): LogIndex;
  appliedIndex(): LogIndex;
  status(): ConsensusStatus;

  /** Appends a command to the log (a follower forwards it). Consensus owns the bytes from now on. */
  propose(payload: Uint8Array): ProposalResult;
  /**
   * Runs once everything that arrived in this turn of the event loop has been processed. Proposals and reads of `run`
   * still belong to the turn.
   */
  onTickEnd(run: () => void): void;
  /** Requests a read index for the batch of reads numbered `context`; the result arrives through `ReadQueue`. */
  requestReadIndex(context: number): void;
  /** Leader only. */
  changeConfiguration(change: ConfigurationChange): ConfigurationResult;
  /** Leader only; the caller waits until another member leads, or times out. */
  transferLeadership(to: MemberId): void;
  /** How long, in milliseconds, a peer has been connected without interruption; null when it is not. */
  connectedMs(member: MemberId): number | null;
  /** The highest protocol version that a peer supports; null when it is not connected. */
  supportedVersion(member: MemberId): number | null;
  /**
   * One request between members beside the log (lease renewals, membership changes through a follower). The other side
   * runs `servePeerRequest`; the target may be this member itself, since it may have become the leader meanwhile.
   * `done` gets null when the member could not be reached.
   */
  callPeer(member: MemberId, request: PeerRequest, done: (answer: PeerResponse | null) => void): void;
};
