/** Elections: requesting, counting and granting votes (Raft §5.2, §5.4.1; thesis §3.10, §4.2.3, §9.6). */
import { isVoter } from "./configuration.ts";
import type { MemberId } from "./entry.ts";
import type { MessageOf, VoteRequest } from "./message.ts";
import { tallyVotes } from "./quorum.ts";
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  resetElectionTimer,
} from "./role-change.ts";
import { send, sendAfterPersist } from "./sending.ts";
import type { RaftState } from "./state.ts";

/** Starts an election, unless this member cannot win or must not campaign. */
export function campaign(state: RaftState, options: { readonly leadershipTransfer: boolean }): void {
  if (state.role === "leader" || state.diskStalled) return;
  if (!isPromotable(state)) return;
  if (state.settings.preVote && !options.leadershipTransfer) {
    becomePreCandidate(state);
    sendPreVotes(state);
    countVotes(state);
  } else {
    startElection(state, options.leadershipTransfer);
  }
}

/**
 * Voters are promotable, and so is a voter whose removal is not known to be committed: it may be the only one with a
 * log that gets the votes to commit the removal (thesis §4.2.2). It does not count itself then, and steps down
 * afterwards.
 */
export function isPromotable({ configurations, commitIndex, id }: RaftState): boolean {
  const { configuration, index } = configurations.current;
  if (isVoter(configuration, id)) return true;
  return index > commitIndex && isVoter(configurations.at(index - 1), id);
}

/**
 * Sends a pre-vote request to every voter that has not granted one; repeated while the result is open, since voters
 * may still grant it.
 */
export function sendPreVotes(state: RaftState): void {
  for (const voter of otherVoters(state)) {
    if (state.votes.get(voter) !== true) send(state, voter, voteRequest(state, true, false));
  }
}

/**
 * Starts the real election. The vote requests wait for the disk: a candidate that lost its term in a crash could
 * otherwise win later with votes that were granted for a longer log.
 */
function startElection(state: RaftState, leadershipTransfer: boolean): void {
  becomeCandidate(state);
  for (const voter of otherVoters(state)) sendAfterPersist(state, voter, voteRequest(state, false, leadershipTransfer));
  recordOwnVote(state);
}

/** A candidate's own vote counts once it would survive a restart. */
export function recordOwnVote(state: RaftState): void {
  if (state.role !== "candidate" || state.votes.has(state.id)) return;
  const { rules } = state.settings;
  if (rules.voteWaitsForDisk && !state.durability.isVoteDurable(state.term, state.id)) return;
  state.votes.set(state.id, true);
  countVotes(state);
}

/** Records a response to this member's own election. */
export function recordVote(state: RaftState, message: MessageOf<"voteResponse">): void {
  if (message.preVote !== (state.role === "preCandidate")) return;
  state.votes.set(message.from, message.granted);
  countVotes(state);
}

function countVotes(state: RaftState): void {
  const result = tallyVotes(state.configurations.current.voterGroups, (member) => state.votes.get(member));
  if (result === "lost") becomeFollower(state, state.term, null);
  else if (result === "won" && state.role === "preCandidate") startElection(state, false);
  else if (result === "won") becomeLeader(state);
}

/**
 * Leader stickiness: reject vote requests while the leader is known to be alive (thesis §4.2.3), unless the leader
 * asked for the election, or is itself the candidate after losing its leadership.
 */
export function inLeaderLease(state: RaftState, message: MessageOf<"voteRequest">): boolean {
  if (!state.settings.checkQuorum || message.leadershipTransfer) return false;
  if (state.leader === null || state.leader === message.from) return false;
  return state.role === "leader" || state.electionElapsedTicks < state.settings.electionTimeoutTicks;
}

/** Answers a candidate of the current term, in any role. A pre-vote is not a promise and needs no disk write. */
export function answerVoteRequest(state: RaftState, message: MessageOf<"voteRequest">): void {
  const { rules } = state.settings;
  const candidateEnd = { index: message.lastLogIndex, term: message.lastLogTerm };
  const isUpToDate = rules.isUpToDate(candidateEnd, state.log.end);
  if (message.preVote) {
    const granted = isUpToDate && state.role !== "leader";
    send(state, message.from, { kind: "voteResponse", preVote: true, granted });
    if (granted) yieldElectionSlot(state, message.from, !rules.isUpToDate(state.log.end, candidateEnd));
    return;
  }
  const granted =
    isUpToDate && rules.mayVoteFor(message.from, state.votedFor) && mayVoteDespiteLeader(state, message.from);
  const response = { kind: "voteResponse", preVote: false, granted } as const;
  if (granted) {
    state.votedFor = message.from;
    state.electionElapsedTicks = 0;
  }
  if (granted && rules.voteWaitsForDisk) sendAfterPersist(state, message.from, response);
  else send(state, message.from, response);
}

/**
 * After a lost connection all voters are about to campaign. A candidate whose pre-vote was just granted campaigns as
 * soon as its new term is durable, and campaigning against it meanwhile would split the vote. So this member yields
 * its election slot and falls back to the usual election timeout. Two pre-candidates at the same moment are ordered by
 * log, then by id. Each lost leader allows this once: a candidate that can send requests but not receive responses
 * must not keep others from campaigning.
 */
function yieldElectionSlot(state: RaftState, candidate: MemberId, candidateIsAhead: boolean): void {
  if (!state.hasElectionSlot) return;
  if (state.role === "preCandidate" && !candidateIsAhead && candidate > state.id) return;
  state.hasElectionSlot = false;
  if (state.role === "preCandidate") becomeFollower(state, state.term, null);
  else resetElectionTimer(state);
}

/** In a term that has a leader no other member can win: no vote is granted except the same one again. */
function mayVoteDespiteLeader(state: RaftState, candidate: MemberId): boolean {
  return state.leader === null || state.votedFor === candidate;
}

function voteRequest(state: RaftState, preVote: boolean, leadershipTransfer: boolean): VoteRequest {
  const { index, term } = state.log.end;
  return { kind: "voteRequest", preVote, lastLogIndex: index, lastLogTerm: term, leadershipTransfer };
}

function otherVoters(state: RaftState): readonly MemberId[] {
  const { configuration, members } = state.configurations.current;
  return members.filter((member) => member !== state.id && isVoter(configuration, member));
}
