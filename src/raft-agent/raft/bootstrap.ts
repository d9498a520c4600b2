/**
 * The two ways in which a member begins. A new cluster begins behind a snapshot at index 1, term 1 that holds its
 * first configuration: every founding member makes the same one by itself. Index 1 rather than 0, because a member
 * that joins later starts at 0, finds that entry 1 is "compacted", and so receives the founders' state as a snapshot
 * instead of a log that never says who founded the cluster.
 */
import type { LogIndex, MemberId } from "./entry.ts";
import type { RestoredState } from "./state.ts";

/** Where a new cluster begins. */
const foundingIndex: LogIndex = 1;

/** The start of a founding member; every founder passes the same voters. */
export function foundingState(voters: readonly MemberId[]): RestoredState {
  return {
    hardState: { term: 1, votedFor: null, commitIndex: 1 },
    snapshot: {
      index: foundingIndex,
      term: 1,
      configuration: { voters: [...new Set(voters)].sort(), votersOutgoing: [], learners: [] },
    },
    entries: [],
  };
}

/** The start of a member that a running cluster has added: it knows nobody, votes for nobody, and waits. */
export function joiningState(): RestoredState {
  return {
    hardState: { term: 0, votedFor: null, commitIndex: 0 },
    snapshot: { index: 0, term: 0, configuration: { voters: [], votersOutgoing: [], learners: [] } },
    entries: [],
  };
}

/**
 * True while a founder's store holds nothing, not even who founded the cluster, and its log begins there. A log that
 * begins later does so behind a snapshot, which brings that along: see `awaitsSnapshot`.
 */
export function lacksFounders(logBegin: LogIndex, storeIndex: LogIndex): boolean {
  return storeIndex === 0 && logBegin === foundingIndex;
}

/** True when the log begins behind a snapshot that has not been moved into the store. */
export function awaitsSnapshot(logBegin: LogIndex, storeIndex: LogIndex): boolean {
  return logBegin > Math.max(foundingIndex, storeIndex);
}
