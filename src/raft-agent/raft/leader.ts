/** The leader role: handles its peers' responses, counts them, and sends heartbeats (Raft §5.2, §5.3). */
import { AssertionError } from "../../base/assert.ts";
import { advanceCommit } from "./commit.ts";
import { advanceConfigurationChange } from "./configuration-change.ts";
import { answerVoteRequest } from "./election.ts";
import type { MemberId } from "./entry.ts";
import type { Message, MessageOf } from "./message.ts";
import { ignore, type MessageHandlers } from "./message-handlers.ts";
import type { Progress } from "./progress.ts";
import { handleForwardedProposals } from "./proposals.ts";
import { tallyVotes } from "./quorum.ts";
import { handleForwardedRead } from "./reads.ts";
import { confirmReads, sendHeartbeats } from "./replication.ts";
import { becomeFollower } from "./role-change.ts";
import type { Leadership, RaftState } from "./state.ts";
import { continueTransfer, tickTransfer } from "./transfer.ts";

export const leaderHandlers: MessageHandlers = {
  voteRequest: answerVoteRequest,
  voteResponse: ignore,
  appendRequest: assertSingleLeader,
  appendResponse: fromPeer(handleAppendResponse),
  heartbeatRequest: assertSingleLeader,
  heartbeatResponse: fromPeer(handleHeartbeatResponse),
  snapshotRequest: assertSingleLeader,
  timeoutNowRequest: ignore,
  forwardedProposals: handleForwardedProposals,
  readIndexRequest: (state, message) => {
    if (state.leadership !== null) handleForwardedRead(state, state.leadership, message);
  },
  readIndexResponse: ignore,
};

export function tickLeader(state: RaftState, leadership: Leadership): void {
  if (!checkTransfer(state, leadership) || !checkQuorum(state, leadership)) return;
  leadership.heartbeatElapsedTicks += 1;
  if (leadership.heartbeatElapsedTicks >= state.settings.heartbeatTicks) sendHeartbeats(state, leadership);
}

/**
 * The connection to a peer broke (etcd: ReportUnreachable): in-flight messages are lost, so its log has to be probed
 * again.
 */
export function onPeerDisconnected(leadership: Leadership, peer: MemberId): void {
  const progress = leadership.peers.get(peer);
  if (progress?.state === "replicate") progress.becomeProbe();
  else if (progress !== undefined) progress.probeInFlight = false;
}

/**
 * The driver has sent a snapshot, or failed to (etcd: ReportSnapshot). Probing follows: behind the snapshot, or from
 * the start.
 */
export function onSnapshotFinished(leadership: Leadership, peer: MemberId, succeeded: boolean): void {
  const progress = leadership.peers.get(peer);
  if (progress?.state !== "snapshot") return;
  if (!succeeded) progress.pendingSnapshotIndex = 0;
  progress.becomeProbe();
  // The follower responds once the snapshot is installed; after a failure the next heartbeat response starts over.
  progress.probeInFlight = true;
}

/** CheckQuorum: without responses from a majority another leader may exist by now, so step down (thesis §6.2). */
function checkQuorum(state: RaftState, leadership: Leadership): boolean {
  leadership.quorumElapsedTicks += 1;
  if (!state.settings.checkQuorum || leadership.quorumElapsedTicks < state.settings.electionTimeoutTicks) return true;
  leadership.quorumElapsedTicks = 0;
  const { voterGroups } = state.configurations.current;
  const isActive = (member: MemberId): boolean =>
    member === state.id || leadership.peers.get(member)?.recentlyActive === true;
  const keepsQuorum = tallyVotes(voterGroups, isActive) === "won";
  for (const progress of leadership.peers.values()) progress.recentlyActive = false;
  if (!keepsQuorum) becomeFollower(state, state.term, null);
  return keepsQuorum;
}

function checkTransfer(state: RaftState, leadership: Leadership): boolean {
  if (leadership.transfer === null) return true;
  if (!tickTransfer(state, leadership)) return false;
  // A joint configuration is not left during a transfer, so it may have been waiting.
  if (leadership.transfer === null) advanceConfigurationChange(state, leadership);
  return true;
}

function handleAppendResponse(
  state: RaftState,
  leadership: Leadership,
  progress: Progress,
  message: MessageOf<"appendResponse">,
): void {
  if (!message.accepted) {
    // A hint in a later term than ours at that position is skipped as a whole, and so is our term by the follower's
    // hint.
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

/**
 * The follower's log reaches the entries kept here, so replication can continue from entries, whichever snapshot it
 * installed.
 */
function catchUpAfterSnapshot(progress: Progress): void {
  progress.pendingSnapshotIndex = 0;
  progress.becomeReplicate();
}

function handleHeartbeatResponse(
  state: RaftState,
  leadership: Leadership,
  progress: Progress,
  message: MessageOf<"heartbeatResponse">,
): void {
  progress.probeInFlight = false;
  scheduleProbe(state, progress);
  if (message.readRound <= progress.answeredRound) return;
  progress.answeredRound = message.readRound;
  confirmReads(state, leadership);
}

/**
 * The follower is alive but behind: an append or its response may have been lost, which an empty append detects. Once
 * per heartbeat is enough: read rounds occur many times in between, while entries are simply in flight.
 */
function scheduleProbe(state: RaftState, progress: Progress): void {
  if (state.ticks - progress.lastProbeTicks < state.settings.heartbeatTicks) return;
  if (progress.matchIndex >= state.log.lastIndex || progress.inflight.count === 0) return;
  progress.lastProbeTicks = state.ticks;
  progress.probeDue = true;
}

type PeerHandler<M> = (state: RaftState, leadership: Leadership, progress: Progress, message: M) => void;

/** Wraps a response handler: responses of former peers are dropped, all others mark the peer as active. */
function fromPeer<M extends Message>(handle: PeerHandler<M>): (state: RaftState, message: M) => void {
  return (state, message) => {
    const progress = state.leadership?.peers.get(message.from);
    if (state.leadership === null || progress === undefined) return;
    progress.recentlyActive = true;
    handle(state, state.leadership, progress, message);
  };
}

function assertSingleLeader(state: RaftState, message: Message): void {
  throw new AssertionError(
    `Invariant broken: ${state.id} leads term ${state.term}, and so does ${message.from} (election safety, Raft §5.2)`,
  );
}
