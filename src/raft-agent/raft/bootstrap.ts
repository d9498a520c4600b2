/**
 * The two initial states of a member. A new cluster starts behind a snapshot at index 1, term 1 that holds its first
 * configuration; each initial member builds the same snapshot independently. Index 1 rather than 0, because a member
 * that joins later starts at 0, finds entry 1 compacted, and therefore receives the initial members' state as a
 * snapshot instead of a log that never names the initial members.
 */
import type { LogIndex, MemberId } from "./entry.ts";
import type { RestoredState } from "./state.ts";

/** The index at which a new cluster starts. */
const bootstrapIndex: LogIndex = 1;

/** The initial state of a member of a new cluster; every initial member passes the same voters. */
export function bootstrapState(voters: readonly MemberId[]): RestoredState {
  return {
    hardState: { term: 1, votedFor: null, commitIndex: 1 },
    snapshot: {
      index: bootstrapIndex,
      term: 1,
      configuration: { voters: [...new Set(voters)].sort(), votersOutgoing: [], learners: [] },
    },
    entries: [],
  };
}

/**
 * The initial state of a member that was added to a running cluster: no known members, no vote, waiting for the
 * leader.
 */
export function joiningState(): RestoredState {
  return {
    hardState: { term: 0, votedFor: null, commitIndex: 0 },
    snapshot: { index: 0, term: 0, configuration: { voters: [], votersOutgoing: [], learners: [] } },
    entries: [],
  };
}

/**
 * True while the store of an initial member is empty, without even the initial membership, and its log starts at the
 * bootstrap index. A log that starts later does so behind a snapshot, which carries the membership: see
 * `awaitsSnapshot`.
 */
export function needsBootstrap(logBegin: LogIndex, storeIndex: LogIndex): boolean {
  return storeIndex === 0 && logBegin === bootstrapIndex;
}

/** True when the log starts behind a snapshot that has not been moved into the store. */
export function awaitsSnapshot(logBegin: LogIndex, storeIndex: LogIndex): boolean {
  return logBegin > Math.max(bootstrapIndex, storeIndex);
}
