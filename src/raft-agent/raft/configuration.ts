import type { LogIndex, MemberId, Term } from "./entry.ts";

/**
 * Who counts votes (Raft §6). In a joint configuration `votersOutgoing` is not empty and every decision needs a
 * majority of `voters` and a majority of `votersOutgoing`. Lists are sorted and free of duplicates.
 */
export type Configuration = {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  /** Members that receive the log and count for nothing. */
  readonly learners: readonly MemberId[];
};

/** Where a snapshot stands in the log, and the configuration in force there. */
export type SnapshotMetadata = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
};
