import type { LogIndex, MemberId, Term } from "./entry.ts";

/**
 * Who counts votes (Raft §6). In a joint configuration `votersOutgoing` is not empty and every decision needs a
 * majority of `voters` and a majority of `votersOutgoing`. Lists are sorted and free of duplicates.
 */
export type Configuration = {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  /**
   * Members that receive the log and count for nothing. In a joint configuration an outgoing voter may be listed here
   * too: it still counts in the outgoing half and is a mere learner as soon as the joint configuration is left.
   */
  readonly learners: readonly MemberId[];
};

/** Where a snapshot stands in the log, and the configuration in force there. */
export type SnapshotMetadata = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
};

/** Everyone who receives the log, sorted. */
export function membersOf(configuration: Configuration): readonly MemberId[] {
  const { voters, votersOutgoing, learners } = configuration;
  return [...new Set([...voters, ...votersOutgoing, ...learners])].sort();
}

/** True while two majorities decide together (Raft §6). */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** True when the member's vote counts in either half. */
export function isVoter(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.includes(member) || configuration.votersOutgoing.includes(member);
}
