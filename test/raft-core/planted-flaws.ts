/** Broken rules, one mistake each, such as people make. A simulation is worth something when it finds every one. */
import type { SafetyRules } from "../../src/raft-agent/raft/safety-rules.ts";

export type PlantedFlaw =
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

export const plantedFlaws: Readonly<Record<PlantedFlaw, Partial<SafetyRules>>> = {
  staleTermAccepted: { isStale: () => false },
  twoVotesInOneTerm: { mayVoteFor: () => true },
  voteWithoutUpToDateCheck: { isUpToDate: () => true },
  voteSentBeforePersisted: { voteWaitsForDisk: false },
  acknowledgedBeforePersisted: { acknowledgementWaitsForDisk: false },
  leaderCountsUnsyncedEntries: { ownMatchIndex: (_durableIndex, lastIndex) => lastIndex },
  olderTermCommittedByCounting: { mayCommitByCounting: () => true },
  conflictNotTruncated: { conflicts: () => false },
  lostEntriesIgnored: { hasLostEntries: () => false },
  jointDecidedByNewVotersOnly: { electorateOf: ({ voters }) => [voters] },
  jointDecidedByOldVotersOnly: {
    electorateOf: ({ voters, votersOutgoing }) => [votersOutgoing.length > 0 ? votersOutgoing : voters],
  },
  learnerCounted: {
    electorateOf: ({ voters, votersOutgoing, learners }) =>
      [[...new Set([...voters, ...learners])], votersOutgoing].filter((group) => group.length > 0),
  },
  snapshotWithoutConfiguration: { configurationAfterInstall: (_installed, previous) => previous },
  readBeforeOwnTermCommitted: { mayServeReads: () => true },
  readWithoutRound: { confirmedReadRound: (_answered, sent) => sent },
};
