/** Mutants of the safety rules: one realistic mistake each. A simulation proves something when it detects every one. */
import type { SafetyRules } from "../../src/raft-agent/raft/safety-rules.ts";

export type RuleMutant =
  | "staleTermAccepted"
  | "twoVotesInOneTerm"
  | "voteWithoutUpToDateCheck"
  | "voteSentBeforePersisted"
  | "acknowledgedBeforePersisted"
  | "leaderCountsUnsyncedEntries"
  | "olderTermCommittedByCounting"
  | "conflictNotTruncated"
  | "lostEntriesIgnored"
  | "jointDecidedByNewVotersOnly"
  | "jointDecidedByOldVotersOnly"
  | "learnerCounted"
  | "snapshotWithoutConfiguration"
  | "readBeforeOwnTermCommitted"
  | "readWithoutRound";

export const ruleMutants: Readonly<Record<RuleMutant, Partial<SafetyRules>>> = {
  staleTermAccepted: { isStale: () => false },
  twoVotesInOneTerm: { mayVoteFor: () => true },
  voteWithoutUpToDateCheck: { isUpToDate: () => true },
  voteSentBeforePersisted: { voteWaitsForDisk: false },
  acknowledgedBeforePersisted: { acknowledgementWaitsForDisk: false },
  leaderCountsUnsyncedEntries: { ownMatchIndex: (_durableIndex, lastIndex) => lastIndex },
  olderTermCommittedByCounting: { mayCommitByCounting: () => true },
  conflictNotTruncated: { conflicts: () => false },
  lostEntriesIgnored: { hasLostEntries: () => false },
  jointDecidedByNewVotersOnly: { voterGroupsOf: ({ voters }) => [voters] },
  jointDecidedByOldVotersOnly: {
    voterGroupsOf: ({ voters, votersOutgoing }) => [votersOutgoing.length > 0 ? votersOutgoing : voters],
  },
  learnerCounted: {
    voterGroupsOf: ({ voters, votersOutgoing, learners }) =>
      [[...new Set([...voters, ...learners])], votersOutgoing].filter((group) => group.length > 0),
  },
  snapshotWithoutConfiguration: { configurationAfterInstall: (_installed, previous) => previous },
  readBeforeOwnTermCommitted: { mayServeReads: () => true },
  readWithoutRound: { confirmedReadRound: (_answered, sent) => sent },
};
