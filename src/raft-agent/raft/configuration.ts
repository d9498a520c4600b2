import type { LogIndex, MemberId, Term } from "./entry.ts";

/**
 * The members of a cluster by role (Raft §6). In a joint configuration `votersOutgoing` is not empty and every
 * decision needs a majority of `voters` and a majority of `votersOutgoing`. Lists are sorted and free of duplicates.
 */
export type Configuration = {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  /**
   * Members that receive the log but do not count in any quorum. In a joint configuration an outgoing voter may be
   * listed here too: it still counts in the outgoing half and becomes a learner when the joint configuration is left.
   */
  readonly learners: readonly MemberId[];
};

/** The position of a snapshot in the log, and the configuration in force there. */
export type SnapshotMetadata = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
};

/** Every member that receives the log, sorted. */
export function membersOf(configuration: Configuration): readonly MemberId[] {
  const { voters, votersOutgoing, learners } = configuration;
  return [...new Set([...voters, ...votersOutgoing, ...learners])].sort();
}

/** True while decisions need two majorities (Raft §6). */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** True when the member's vote counts in either half. */
export function isVoter(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.includes(member) || configuration.votersOutgoing.includes(member);
}
