/**
 * All that services need from consensus. `ConsensusClient` implements it; tests have a single-member one that applies at
 * once. Calls return at once: what was proposed or asked comes back through `Proposer` and `ReadQueue`.
 */
import type { Configuration } from "../raft/configuration.ts";
import type { LogIndex, MemberId, Term } from "../raft/entry.ts";
import type { ConfigurationChange, ConfigurationResult, ProposalResult } from "../raft/event.ts";
import type { Role } from "../raft/ready.ts";
import type { PeerAnswer, PeerRequest } from "./peer-request.ts";

/** What the leader knows of another member's log; followers know nothing and report an empty list. */
export type PeerProgress = {
  readonly member: MemberId;
  /** The last entry known to be durable there. */
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

  /** Hands a command to the log (a follower forwards it). The bytes now belong to consensus. */
  propose(payload: Uint8Array): ProposalResult;
  /**
   * Runs once everything that arrived in this turn of the event loop has been taken in. What `run` proposes and asks
   * for still belongs to the turn.
   */
  onTickEnd(run: () => void): void;
  /** Asks for a read index for the batch of reads numbered `context`; answered through `ReadQueue`. */
  requestReadIndex(context: number): void;
  /** Leader only. */
  changeConfiguration(change: ConfigurationChange): ConfigurationResult;
  /** Leader only; resolves once another member leads, rejects or times out in the caller. */
  transferLeadership(to: MemberId): void;
  /** How long, in milliseconds, a peer has been connected without a break; null when it is not. */
  connectedMs(member: MemberId): number | null;
  /** The highest version of the protocol that a peer speaks; null when it is not connected. */
  supportedVersion(member: MemberId): number | null;
  /**
   * One request and one answer between members, beside the log (lease renewals, member changes made through a
   * follower). The other side runs `answerPeerRequest`; this member may be asked as well, since who is asked for as the
   * leader may be the one who asks by now. `done` gets null when the member could not be reached.
   */
  askPeer(member: MemberId, request: PeerRequest, done: (answer: PeerAnswer | null) => void): void;
};
