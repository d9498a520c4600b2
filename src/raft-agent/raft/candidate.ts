/**
 * The candidate and pre-candidate roles: both request votes and count them, and both become followers of a leader of
 * their term. Only the pre-candidate resends its requests, since pre-votes bind no voter and leader stickiness
 * expires.
 */
import { answerVoteRequest, campaign, recordVote, sendPreVotes } from "./election.ts";
import { handleAppend, handleHeartbeat, handleSnapshot } from "./follower.ts";
import { ignore, type MessageHandlers } from "./message-handlers.ts";
import { handleForwardedProposals } from "./proposals.ts";
import { becomeFollower } from "./role-change.ts";
import type { RaftState } from "./state.ts";

export const candidateHandlers: MessageHandlers = {
  voteRequest: answerVoteRequest,
  voteResponse: recordVote,
  appendRequest: handleAppend,
  appendResponse: ignore,
  heartbeatRequest: handleHeartbeat,
  heartbeatResponse: ignore,
  snapshotRequest: handleSnapshot,
  timeoutNowRequest: ignore,
  forwardedProposals: handleForwardedProposals,
  readIndexRequest: ignore,
  readIndexResponse: ignore,
};

/** A pre-candidate has not left the leader's term: the leader may still choose it as its successor. */
export const preCandidateHandlers: MessageHandlers = {
  ...candidateHandlers,
  timeoutNowRequest: (state) => campaign(state, { leadershipTransfer: true }),
};

/** An election without a result times out and restarts with a new timeout (Raft §5.2). */
export function tickCandidate(state: RaftState): void {
  state.electionElapsedTicks += 1;
  if (state.electionElapsedTicks >= state.electionDeadlineTicks) {
    becomeFollower(state, state.term, null);
    campaign(state, { leadershipTransfer: false });
  } else if (state.role === "preCandidate" && state.electionElapsedTicks % state.settings.preVoteRetryTicks === 0) {
    sendPreVotes(state);
  }
}
