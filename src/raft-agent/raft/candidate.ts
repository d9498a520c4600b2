/**
 * A candidate, and before it a pre-candidate: both ask and count, and both give way to a leader of their term. Only
 * the pre-candidate repeats its question, since pre-votes bind nobody and loyalty to a lost leader wears off.
 */
import { answerVoteRequest, askForPreVotes, campaign, takeVote } from "./election.ts";
import { acceptAppend, acceptHeartbeat, acceptSnapshot } from "./follower.ts";
import { takeForwardedProposals } from "./proposals.ts";
import { ignore, type Reactions } from "./reactions.ts";
import { becomeFollower } from "./role-change.ts";
import type { RaftState } from "./state.ts";

export const candidateReactions: Reactions = {
  voteRequest: answerVoteRequest,
  voteResponse: takeVote,
  appendRequest: acceptAppend,
  appendResponse: ignore,
  heartbeatRequest: acceptHeartbeat,
  heartbeatResponse: ignore,
  snapshotRequest: acceptSnapshot,
  timeoutNowRequest: ignore,
  forwardedProposals: takeForwardedProposals,
  readIndexRequest: ignore,
  readIndexResponse: ignore,
};

/** A pre-candidate has not left the leader's term: the leader may still choose it as successor. */
export const preCandidateReactions: Reactions = {
  ...candidateReactions,
  timeoutNowRequest: (state) => campaign(state, { leadershipTransfer: true }),
};

/** An election without a result is given up and started again with a new timeout (Raft §5.2). */
export function tickCandidate(state: RaftState): void {
  state.electionElapsedTicks += 1;
  if (state.electionElapsedTicks >= state.electionDeadlineTicks) {
    becomeFollower(state, state.term, null);
    campaign(state, { leadershipTransfer: false });
  } else if (state.role === "preCandidate" && state.electionElapsedTicks % state.settings.preVoteRetryTicks === 0) {
    askForPreVotes(state);
  }
}
