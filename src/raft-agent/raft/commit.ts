/** Moving a leader's commit index, and what follows from it (Raft §5.3, §5.4.2). */
import { isJoint, isVoter } from "./configuration.ts";
import { followUpConfiguration } from "./configuration-change.ts";
import { commitUpTo } from "./log-changes.ts";
import { quorumValue } from "./quorum.ts";
import { replicateToAll } from "./replication.ts";
import { becomeFollower } from "./role-change.ts";
import type { Leadership, RaftState } from "./state.ts";
import { chooseSuccessor, tellSuccessor } from "./transfer.ts";

/** Commits what a quorum holds durably, if it is of this term; older entries are committed along with it. */
export function advanceCommit(state: RaftState, leadership: Leadership): void {
  const held = quorumValue(state.configurations.current.electorate, leadership.matchOf);
  if (held <= state.commitIndex) return;
  if (!state.settings.rules.mayCommitByCounting(state.log.termAt(held) ?? 0, state.term)) return;
  const knewCommit = mayServeReads(state, leadership);
  commitUpTo(state, held);
  if (!knewCommit && mayServeReads(state, leadership)) leadership.reads.start(state.commitIndex);
  if (isRemoved(state)) resign(state, leadership);
  else followUpConfiguration(state, leadership);
}

export function mayServeReads(state: RaftState, leadership: Leadership): boolean {
  return state.settings.rules.mayServeReads(state.commitIndex, leadership.termStartIndex);
}

/** A leader leads on while its removal is under way, without counting itself, and goes when it is committed (Raft §6). */
function isRemoved(state: RaftState): boolean {
  const { index, configuration } = state.configurations.current;
  return index <= state.commitIndex && !isJoint(configuration) && !isVoter(configuration, state.id);
}

/** The last duty of a removed leader: everyone learns of the commitment, and the best follower takes over at once. */
function resign(state: RaftState, leadership: Leadership): void {
  replicateToAll(state, leadership);
  const successor = chooseSuccessor(state, leadership);
  if (successor !== null) tellSuccessor(state, successor);
  becomeFollower(state, state.term, null);
}
