/** Role transitions. Whether and when they happen is decided by `election.ts` and by the roles themselves. */
import { assert } from "../../base/assert.ts";
import { EntryKind, type LogIndex, type MemberId, type Term } from "./entry.ts";
import { InflightWindow } from "./inflight-window.ts";
import { appendEntry } from "./log-changes.ts";
import { Progress } from "./progress.ts";
import { ReadRounds } from "./read-rounds.ts";
import type { Leadership, RaftState } from "./state.ts";

/** Follows `leader`, or none yet, in `term`, which is never lower than the current one. */
export function becomeFollower(state: RaftState, term: Term, leader: MemberId | null): void {
  enterTerm(state, term);
  leaveRole(state, "follower");
  setLeader(state, leader);
}

/** Starts a pre-vote, which disturbs no other member (thesis §9.6). */
export function becomePreCandidate(state: RaftState): void {
  leaveRole(state, "preCandidate");
  setLeader(state, null);
  state.votes.set(state.id, true);
}

/** Starts an election in the next term with a vote for itself, which counts once it is durable. */
export function becomeCandidate(state: RaftState): void {
  enterTerm(state, state.term + 1);
  leaveRole(state, "candidate");
  setLeader(state, null);
  state.votedFor = state.id;
}

/**
 * Becomes leader, and opens the term with an empty entry whose commitment commits all earlier ones (Raft §5.4.2, §8).
 */
export function becomeLeader(state: RaftState): void {
  assert(state.role === "candidate", "only a candidate becomes leader");
  leaveRole(state, "leader");
  setLeader(state, state.id);
  const nextIndex = state.log.lastIndex + 1;
  state.leadership = createLeadership(state, nextIndex);
  for (const member of state.configurations.current.members) addPeer(state, state.leadership, member, nextIndex);
  appendEntry(state, { term: state.term, index: nextIndex, kind: EntryKind.normal, data: new Uint8Array(0) });
}

/** Starts replicating to a member; a no-op for the leader itself and for existing peers. */
export function addPeer(state: RaftState, leadership: Leadership, member: MemberId, nextIndex: LogIndex): void {
  if (member === state.id || leadership.peers.has(member)) return;
  const window = new InflightWindow(state.settings.maxInflightMessages, state.settings.maxInflightBytes);
  leadership.peers.set(member, new Progress(nextIndex, window));
}

/** Draws a new election timeout: a new random value each time prevents repeated split votes (Raft §5.2). */
export function resetElectionTimer(state: RaftState): void {
  const { electionTimeoutTicks } = state.settings;
  state.electionElapsedTicks = 0;
  state.electionDeadlineTicks = electionTimeoutTicks + state.random.below(electionTimeoutTicks);
}

/** Sets the leader. Reads that were forwarded to another leader may never be answered, so they fail. */
export function setLeader(state: RaftState, leader: MemberId | null): void {
  if (state.leader === leader) return;
  state.leader = leader;
  state.hasElectionSlot = false;
  for (const context of state.forwardedReads.takeAll()) state.outbox.failedReads.push(context);
}

function enterTerm(state: RaftState, term: Term): void {
  assert(term >= state.term, `term ${term} is not lower than the current one, ${state.term}`);
  if (term === state.term) return;
  state.term = term;
  state.votedFor = null;
}

function leaveRole(state: RaftState, role: RaftState["role"]): void {
  for (const { from, context } of state.leadership?.reads.remaining() ?? []) {
    if (from === state.id) state.outbox.failedReads.push(context);
  }
  state.leadership = null;
  state.votes.clear();
  state.role = role;
  resetElectionTimer(state);
}

function createLeadership(state: RaftState, termStartIndex: LogIndex): Leadership {
  const peers = new Map<MemberId, Progress>();
  const { ownMatchIndex } = state.settings.rules;
  return {
    peers,
    matchOf: (member) =>
      member === state.id
        ? ownMatchIndex(state.durability.durableIndex, state.log.lastIndex)
        : (peers.get(member)?.matchIndex ?? 0),
    reads: new ReadRounds(state.settings.maxPendingReads),
    termStartIndex,
    heartbeatElapsedTicks: 0,
    quorumElapsedTicks: 0,
    transfer: null,
  };
}
