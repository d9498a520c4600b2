/** Advances a leader's commit index and does what follows from it (Raft §5.3, §5.4.2). */
import { isJoint, isVoter } from "./configuration.ts";
import { advanceConfigurationChange } from "./configuration-change.ts";
import { commitUpTo } from "./log-changes.ts";
import { quorumValue } from "./quorum.ts";
import { replicateToAll } from "./replication.ts";
import { becomeFollower } from "./role-change.ts";
import type { Leadership, RaftState } from "./state.ts";
import { chooseSuccessor, sendTimeoutNow } from "./transfer.ts";

/** Commits what a quorum holds durably, if it is of the current term; older entries are committed along with it. */
export function advanceCommit(state: RaftState, leadership: Leadership): void {
  const held = quorumValue(state.configurations.current.voterGroups, leadership.matchOf);
  if (held <= state.commitIndex) return;
  if (!state.settings.rules.mayCommitByCounting(state.log.termAt(held) ?? 0, state.term)) return;
  const knewCommit = mayServeReads(state, leadership);
  commitUpTo(state, held);
  if (!knewCommit && mayServeReads(state, leadership)) leadership.reads.start(state.commitIndex);
  if (isRemoved(state)) stepDownAfterRemoval(state, leadership);
  else advanceConfigurationChange(state, leadership);
}

export function mayServeReads(state: RaftState, leadership: Leadership): boolean {
  return state.settings.rules.mayServeReads(state.commitIndex, leadership.termStartIndex);
}

/**
 * A leader that is being removed keeps leading, without counting itself, and steps down when the removal is committed
 * (Raft §6).
 */
function isRemoved(state: RaftState): boolean {
  const { index, configuration } = state.configurations.current;
  return index <= state.commitIndex && !isJoint(configuration) && !isVoter(configuration, state.id);
}

/**
 * The last duty of a removed leader: send the commit index to all peers and let the best follower take over at once.
 */
function stepDownAfterRemoval(state: RaftState, leadership: Leadership): void {
  replicateToAll(state, leadership);
  const successor = chooseSuccessor(state, leadership);
  if (successor !== null) sendTimeoutNow(state, successor);
  becomeFollower(state, state.term, null);
}
