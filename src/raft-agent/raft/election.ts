/** Asking for votes, counting them, and giving them (Raft §5.2, §5.4.1; thesis §3.10, §4.2.3, §9.6). */
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

/** Starts an election, unless this member could not win or must not. */
export function campaign(state: RaftState, options: { readonly leadershipTransfer: boolean }): void {
  if (state.role === "leader" || state.diskStalled) return;
  if (!mayStand(state)) return;
  if (state.settings.preVote && !options.leadershipTransfer) {
    becomePreCandidate(state);
    askForPreVotes(state);
    countVotes(state);
  } else {
    stand(state, options.leadershipTransfer);
  }
}

/**
 * Voters stand, and so does a voter whose removal is not known to be committed: it may be the only one with a log that
 * gets the votes to commit it (thesis §4.2.2). It does not count itself then, and resigns when it is done.
 */
export function mayStand({ configurations, commitIndex, id }: RaftState): boolean {
  const { configuration, index } = configurations.current;
  if (isVoter(configuration, id)) return true;
  return index > commitIndex && isVoter(configurations.at(index - 1), id);
}

/** Asks everyone who has not said yes; repeated while the answer is open, since the electorate may change its mind. */
export function askForPreVotes(state: RaftState): void {
  for (const voter of otherVoters(state)) {
    if (state.votes.get(voter) !== true) send(state, voter, voteRequest(state, true, false));
  }
}

/**
 * The real election. The requests wait for the disk: a candidate that forgot its term in a crash could otherwise win
 * later with votes that were given for a longer log.
 */
function stand(state: RaftState, leadershipTransfer: boolean): void {
  becomeCandidate(state);
  for (const voter of otherVoters(state)) sendAfterPersist(state, voter, voteRequest(state, false, leadershipTransfer));
  countOwnVote(state);
}

/** A candidate's own vote counts when a restart would remember it. */
export function countOwnVote(state: RaftState): void {
  if (state.role !== "candidate" || state.votes.has(state.id)) return;
  const { rules } = state.settings;
  if (rules.voteWaitsForDisk && !state.durability.remembersVote(state.term, state.id)) return;
  state.votes.set(state.id, true);
  countVotes(state);
}

/** Takes an answer to the own election. */
export function takeVote(state: RaftState, message: MessageOf<"voteResponse">): void {
  if (message.preVote !== (state.role === "preCandidate")) return;
  state.votes.set(message.from, message.granted);
  countVotes(state);
}

function countVotes(state: RaftState): void {
  const result = tallyVotes(state.configurations.current.electorate, (member) => state.votes.get(member));
  if (result === "lost") becomeFollower(state, state.term, null);
  else if (result === "won" && state.role === "preCandidate") stand(state, false);
  else if (result === "won") becomeLeader(state);
}

/**
 * True while a leader is known to be alive: then nobody else gets a vote (thesis §4.2.3), unless the leader asked for
 * the election, or is itself the one that stands, having lost its leadership.
 */
export function isLoyal(state: RaftState, message: MessageOf<"voteRequest">): boolean {
  if (!state.settings.checkQuorum || message.leadershipTransfer) return false;
  if (state.leader === null || state.leader === message.from) return false;
  return state.role === "leader" || state.electionElapsedTicks < state.settings.electionTimeoutTicks;
}

/** Answers a candidate of the current term, in any role. A pre-vote promises nothing and needs no disk. */
export function answerVoteRequest(state: RaftState, message: MessageOf<"voteRequest">): void {
  const { rules } = state.settings;
  const candidateEnd = { index: message.lastLogIndex, term: message.lastLogTerm };
  const isUpToDate = rules.isUpToDate(candidateEnd, state.log.end);
  if (message.preVote) {
    const granted = isUpToDate && state.role !== "leader";
    send(state, message.from, { kind: "voteResponse", preVote: true, granted });
    if (granted) giveWay(state, message.from, !rules.isUpToDate(state.log.end, candidateEnd));
    return;
  }
  const granted = isUpToDate && rules.mayVoteFor(message.from, state.votedFor) && mayTurnAway(state, message.from);
  const response = { kind: "voteResponse", preVote: false, granted } as const;
  if (granted) {
    state.votedFor = message.from;
    state.electionElapsedTicks = 0;
  }
  if (granted && rules.voteWaitsForDisk) sendAfterPersist(state, message.from, response);
  else send(state, message.from, response);
}

/**
 * After a lost connection everyone is about to stand. The candidate that has just been told yes will, as soon as its
 * disk has the new term, and to stand against it meanwhile would split the vote: so the own turn is given away, and the
 * usual election timeout applies. Two that are asking at the same moment settle it by log, then by id. Each lost leader
 * allows this once: a candidate that can ask but not hear answers must not keep others from standing.
 */
function giveWay(state: RaftState, candidate: MemberId, candidateIsAhead: boolean): void {
  if (!state.hasTurn) return;
  if (state.role === "preCandidate" && !candidateIsAhead && candidate > state.id) return;
  state.hasTurn = false;
  if (state.role === "preCandidate") becomeFollower(state, state.term, null);
  else resetElectionTimer(state);
}

/** In a term that has a leader, nobody else can win: no vote is given except the same one again. */
function mayTurnAway(state: RaftState, candidate: MemberId): boolean {
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
