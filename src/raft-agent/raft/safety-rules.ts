/**
 * The rules whose violation loses or forks data, each a small named decision. The core asks for each at one place;
 * everything else in this directory is bookkeeping around them. Being values, they can be replaced one at a time: the
 * simulator injects a broken rule and must detect it. Only tests pass other rules than these.
 */
import type { Configuration } from "./configuration.ts";
import type { LogIndex, MemberId, Term } from "./entry.ts";
import type { VoterGroups } from "./quorum.ts";

/** The last entry of a log: what an election compares. */
export type LogEnd = { readonly index: LogIndex; readonly term: Term };

export type SafetyRules = {
  /** A message of an earlier term is never acted upon (Raft §5.1). */
  readonly isStale: (messageTerm: Term, currentTerm: Term) => boolean;
  /** One vote per term (Raft §5.2). */
  readonly mayVoteFor: (candidate: MemberId, votedFor: MemberId | null) => boolean;
  /** Only a log that is at least as up-to-date gets a vote (Raft §5.4.1). */
  readonly isUpToDate: (candidate: LogEnd, own: LogEnd) => boolean;
  /** A vote must not be sent before it is durable, or a restart could vote twice (Raft figure 2). */
  readonly voteWaitsForDisk: boolean;
  /** Nor must an acknowledgement of entries, or a restart could lose entries that were counted (Raft figure 2). */
  readonly acknowledgementWaitsForDisk: boolean;
  /** How far the leader may count itself: what its own disk holds, not its memory (thesis §10.2.1). */
  readonly ownMatchIndex: (durableIndex: LogIndex, lastIndex: LogIndex) => LogIndex;
  /**
   * Only entries of the current term are committed by counting replicas; older ones are committed indirectly (Raft
   * §5.4.2).
   */
  readonly mayCommitByCounting: (entryTerm: Term, currentTerm: Term) => boolean;
  /** An entry that conflicts with the leader's is removed together with all that follow it (Raft §5.3). */
  readonly conflicts: (ownTerm: Term, leaderTerm: Term) => boolean;
  /**
   * A leader sends each follower no commit index beyond what that follower has acknowledged to it. A log that ends
   * before such a commit index has lost acknowledged entries, and possibly votes of that time (Raft figure 2:
   * persistent state).
   */
  readonly hasLostEntries: (acknowledged: LogIndex, lastIndex: LogIndex) => boolean;
  /**
   * The groups that decide: a majority of the voters, and in a joint configuration also one of the outgoing voters
   * (Raft §6).
   */
  readonly voterGroupsOf: (configuration: Configuration) => VoterGroups;
  /** A snapshot carries the configuration in force at its index (Raft §7). */
  readonly configurationAfterInstall: (installed: Configuration, previous: Configuration) => Configuration;
  /** A leader knows the commit index only once it has committed an entry of its own term (Raft §8). */
  readonly mayServeReads: (commitIndex: LogIndex, termStartIndex: LogIndex) => boolean;
  /** A read is confirmed only up to the round that a quorum has acknowledged (Raft §8, thesis §6.4). */
  readonly confirmedReadRound: (answeredByQuorum: number, sent: number) => number;
};

export const safetyRules: SafetyRules = {
  isStale: (messageTerm, currentTerm) => messageTerm < currentTerm,
  mayVoteFor: (candidate, votedFor) => votedFor === null || votedFor === candidate,
  isUpToDate: (candidate, own) =>
    candidate.term > own.term || (candidate.term === own.term && candidate.index >= own.index),
  voteWaitsForDisk: true,
  acknowledgementWaitsForDisk: true,
  ownMatchIndex: (durableIndex) => durableIndex,
  mayCommitByCounting: (entryTerm, currentTerm) => entryTerm === currentTerm,
  conflicts: (ownTerm, leaderTerm) => ownTerm !== leaderTerm,
  hasLostEntries: (acknowledged, lastIndex) => acknowledged > lastIndex,
  voterGroupsOf: ({ voters, votersOutgoing }) => [voters, votersOutgoing].filter((group) => group.length > 0),
  configurationAfterInstall: (installed) => installed,
  mayServeReads: (commitIndex, termStartIndex) => commitIndex >= termStartIndex,
  confirmedReadRound: (answeredByQuorum) => answeredByQuorum,
};
