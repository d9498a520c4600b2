/** A leader: listens to its peers' answers, counts, and shows every so often that it is alive (Raft §5.2, §5.3). */
import { AssertionError } from "../../base/assert.ts";
import { advanceCommit } from "./commit.ts";
import { followUpConfiguration } from "./configuration-change.ts";
import { answerVoteRequest } from "./election.ts";
import type { MemberId } from "./entry.ts";
import type { Message, MessageOf } from "./message.ts";
import type { Progress } from "./progress.ts";
import { takeForwardedProposals } from "./proposals.ts";
import { tallyVotes } from "./quorum.ts";
import { ignore, type Reactions } from "./reactions.ts";
import { takeForwardedRead } from "./reads.ts";
import { confirmReads, sendHeartbeats } from "./replication.ts";
import { becomeFollower } from "./role-change.ts";
import type { Leadership, RaftState } from "./state.ts";
import { continueTransfer, tickTransfer } from "./transfer.ts";

export const leaderReactions: Reactions = {
  voteRequest: answerVoteRequest,
  voteResponse: ignore,
  appendRequest: refuseSecondLeader,
  appendResponse: fromPeer(takeAppendResponse),
  heartbeatRequest: refuseSecondLeader,
  heartbeatResponse: fromPeer(takeHeartbeatResponse),
  snapshotRequest: refuseSecondLeader,
  timeoutNowRequest: ignore,
  forwardedProposals: takeForwardedProposals,
  readIndexRequest: (state, message) => {
    if (state.leadership !== null) takeForwardedRead(state, state.leadership, message);
  },
  readIndexResponse: ignore,
};

export function tickLeader(state: RaftState, leadership: Leadership): void {
  if (!checkTransfer(state, leadership) || !checkQuorum(state, leadership)) return;
  leadership.heartbeatElapsedTicks += 1;
  if (leadership.heartbeatElapsedTicks >= state.settings.heartbeatTicks) sendHeartbeats(state, leadership);
}

/** The connection to a peer broke: what was on its way is lost, so its log has to be asked for again. */
export function losePeer(leadership: Leadership, peer: MemberId): void {
  const progress = leadership.peers.get(peer);
  if (progress?.state === "replicate") progress.becomeProbe();
  else if (progress !== undefined) progress.awaitsAnswer = false;
}

/** The driver has sent a snapshot, or given up. What follows is a probe: behind the snapshot, or from the start. */
export function endSnapshot(leadership: Leadership, peer: MemberId, succeeded: boolean): void {
  const progress = leadership.peers.get(peer);
  if (progress?.state !== "snapshot") return;
  if (!succeeded) progress.pendingSnapshotIndex = 0;
  progress.becomeProbe();
  // The follower speaks up when the snapshot is installed; after a failure the next heartbeat's answer starts over.
  progress.awaitsAnswer = true;
}

/** Without a majority that answers, somebody else may be leading by now: steps down (thesis §6.2). */
function checkQuorum(state: RaftState, leadership: Leadership): boolean {
  leadership.quorumElapsedTicks += 1;
  if (!state.settings.checkQuorum || leadership.quorumElapsedTicks < state.settings.electionTimeoutTicks) return true;
  leadership.quorumElapsedTicks = 0;
  const { electorate } = state.configurations.current;
  const isActive = (member: MemberId): boolean =>
    member === state.id || leadership.peers.get(member)?.recentlyActive === true;
  const keepsQuorum = tallyVotes(electorate, isActive) === "won";
  for (const progress of leadership.peers.values()) progress.recentlyActive = false;
  if (!keepsQuorum) becomeFollower(state, state.term, null);
  return keepsQuorum;
}

function checkTransfer(state: RaftState, leadership: Leadership): boolean {
  if (leadership.transfer === null) return true;
  if (!tickTransfer(state, leadership)) return false;
  // A joint configuration is not left during a transfer: it may have been waiting.
  if (leadership.transfer === null) followUpConfiguration(state, leadership);
  return true;
}

function takeAppendResponse(
  state: RaftState,
  leadership: Leadership,
  progress: Progress,
  message: MessageOf<"appendResponse">,
): void {
  if (!message.accepted) {
    // A hint in a later term than ours at that position is skipped in whole, and so is ours by the follower's.
    const { index } = state.log.lastAtOrBelowTerm(message.hintIndex, message.hintTerm);
    progress.reject(message.index, index);
    return;
  }
  const isNews = progress.acknowledge(message.index);
  if (progress.state === "probe") progress.becomeReplicate();
  else if (progress.state === "snapshot" && progress.matchIndex >= state.log.baseIndex) catchUpAfterSnapshot(progress);
  if (!isNews) return;
  advanceCommit(state, leadership);
  if (state.leadership === leadership) continueTransfer(state, leadership);
}

/** The log reaches up to what is kept here: entries can go on from there, whichever snapshot it was. */
function catchUpAfterSnapshot(progress: Progress): void {
  progress.pendingSnapshotIndex = 0;
  progress.becomeReplicate();
}

function takeHeartbeatResponse(
  state: RaftState,
  leadership: Leadership,
  progress: Progress,
  message: MessageOf<"heartbeatResponse">,
): void {
  progress.awaitsAnswer = false;
  askAgain(state, progress);
  if (message.readRound <= progress.answeredRound) return;
  progress.answeredRound = message.readRound;
  confirmReads(state, leadership);
}

/**
 * It is alive but behind: an append or its answer may have been lost, which an empty one brings to light. Once for each
 * heartbeat is enough: rounds of reads come many times in between, while entries are simply on their way.
 */
function askAgain(state: RaftState, progress: Progress): void {
  if (state.ticks - progress.askedAtTicks < state.settings.heartbeatTicks) return;
  if (progress.matchIndex >= state.log.lastIndex || progress.inflight.count === 0) return;
  progress.askedAtTicks = state.ticks;
  progress.mustAsk = true;
}

type PeerReaction<M> = (state: RaftState, leadership: Leadership, progress: Progress, message: M) => void;

/** Wraps an answer's handling: answers of members that are no peers any more are dropped, all others show life. */
function fromPeer<M extends Message>(react: PeerReaction<M>): (state: RaftState, message: M) => void {
  return (state, message) => {
    const progress = state.leadership?.peers.get(message.from);
    if (state.leadership === null || progress === undefined) return;
    progress.recentlyActive = true;
    react(state, state.leadership, progress, message);
  };
}

function refuseSecondLeader(state: RaftState, message: Message): void {
  throw new AssertionError(
    `Invariant broken: ${state.id} leads term ${state.term}, and so does ${message.from} (election safety, Raft §5.2)`,
  );
}
