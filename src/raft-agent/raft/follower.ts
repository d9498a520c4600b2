/**
 * The follower role: replicates the leader's log, votes, and starts an election when it does not hear from a leader
 * for too long. A follower that knows no leader (after a start, or a lost connection) is the same role with `leader`
 * null.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import { isVoter } from "./configuration.ts";
import { answerVoteRequest, campaign, isPromotable } from "./election.ts";
import type { Entry, LogIndex, MemberId } from "./entry.ts";
import { appendEntry, commitUpTo, replaceLog, truncateLog } from "./log-changes.ts";
import type { Message, MessageOf } from "./message.ts";
import { ignore, type MessageHandlers } from "./message-handlers.ts";
import { handleForwardedProposals } from "./proposals.ts";
import { becomeFollower, setLeader } from "./role-change.ts";
import { acknowledge, send } from "./sending.ts";
import type { RaftState } from "./state.ts";

export const followerHandlers: MessageHandlers = {
  voteRequest: answerVoteRequest,
  voteResponse: ignore,
  appendRequest: handleAppend,
  appendResponse: ignore,
  heartbeatRequest: handleHeartbeat,
  heartbeatResponse: ignore,
  snapshotRequest: handleSnapshot,
  timeoutNowRequest: (state) => campaign(state, { leadershipTransfer: true }),
  forwardedProposals: handleForwardedProposals,
  readIndexRequest: ignore,
  readIndexResponse: handleReadIndexResponse,
};

export function tickFollower(state: RaftState): void {
  state.electionElapsedTicks += 1;
  if (state.electionElapsedTicks < state.electionDeadlineTicks) return;
  // Also when this member is not promotable: other members may need its vote, so its leader stickiness has to end.
  becomeFollower(state, state.term, null);
  campaign(state, { leadershipTransfer: false });
}

/**
 * The leader's end closed the connection. That alone proves nothing, but it ends this member's leader stickiness and
 * lets it start a pre-vote at once: if the leader is alive, the other voters still reject it and the pre-vote fails;
 * if the leader is dead, they have been disconnected as well. The voters have election slots, lowest id first, so that
 * they do not split the vote; a voter that grants another's pre-vote yields its slot (`yieldElectionSlot`).
 */
export function onLeaderDisconnected(state: RaftState, leader: MemberId): void {
  setLeader(state, null);
  const { configuration, members } = state.configurations.current;
  if (!state.settings.preVote || !isPromotable(state)) return;
  const slot = members.filter(
    (member) => member < state.id && member !== leader && isVoter(configuration, member),
  ).length;
  state.hasElectionSlot = true;
  state.electionElapsedTicks = 0;
  state.electionDeadlineTicks = Math.max(1, slot * state.settings.disconnectStaggerTicks);
  if (slot === 0) campaign(state, { leadershipTransfer: false });
}

/** Appends entries from the leader of the current term (Raft §5.3). */
export function handleAppend(state: RaftState, message: MessageOf<"appendRequest">): void {
  followLeader(state, message);
  const { previousIndex, previousTerm, entries } = message;
  if (previousIndex < state.commitIndex) {
    // Committed entries are final; an append that starts before the commit index is an old one.
    acknowledge(state, message.from, state.commitIndex);
  } else if (state.log.termAt(previousIndex) !== previousTerm) {
    rejectAppend(state, message);
  } else {
    appendNewEntries(state, entries);
    const equalUpTo = previousIndex + entries.length;
    commitUpTo(state, Math.min(message.commitIndex, equalUpTo));
    if (message.needsAck) acknowledge(state, message.from, equalUpTo);
  }
}

/**
 * Hints where the logs may still agree, so that the leader skips whole terms. The response promises nothing, so it
 * need not wait for the disk.
 */
function rejectAppend(state: RaftState, { from, previousIndex, previousTerm }: MessageOf<"appendRequest">): void {
  const hint = state.log.lastAtOrBelowTerm(Math.min(previousIndex, state.log.lastIndex), previousTerm);
  send(state, from, {
    kind: "appendResponse",
    accepted: false,
    index: previousIndex,
    hintIndex: hint.index,
    hintTerm: hint.term,
  });
}

/** Entries that are already present are kept: removing them would revoke what was acknowledged (Raft §5.3). */
function appendNewEntries(state: RaftState, entries: readonly Entry[]): void {
  const { log, settings } = state;
  for (const entry of entries) {
    if (entry.index > log.lastIndex) {
      appendEntry(state, entry);
    } else if (settings.rules.conflicts(log.termAt(entry.index) ?? 0, entry.term)) {
      truncateLog(state, entry.index);
      appendEntry(state, entry);
    }
  }
}

/**
 * @throws HaplanError `raft/lost-entries` when this member has acknowledged more than its log holds: it was restored
 * from an older copy, or its disk lost synced data.
 */
export function handleHeartbeat(state: RaftState, message: MessageOf<"heartbeatRequest">): void {
  followLeader(state, message);
  const { lastIndex } = state.log;
  if (state.settings.rules.hasLostEntries(message.commitIndex, lastIndex)) throw lostEntries(message, lastIndex);
  commitUpTo(state, Math.min(message.commitIndex, state.log.lastIndex));
  send(state, message.from, { kind: "heartbeatResponse", readRound: message.readRound });
}

function lostEntries({ from, commitIndex }: MessageOf<"heartbeatRequest">, lastIndex: LogIndex): HaplanError {
  return new HaplanError(
    "raft/lost-entries",
    `This member has lost log entries: it acknowledged entries up to ${commitIndex} to the leader ${from}, ` +
      `but its log ends at entry ${lastIndex}. Its data was restored from an older copy, or its disk lost synced data`,
  );
}

/**
 * Called when the driver holds the complete snapshot: replaces the log with it, unless the log already contains it all
 * (Raft §7).
 */
export function handleSnapshot(state: RaftState, message: MessageOf<"snapshotRequest">): void {
  followLeader(state, message);
  const { index, term } = message.snapshot;
  if (index > state.commitIndex) {
    if (state.log.termAt(index) === term) commitUpTo(state, index);
    else replaceLog(state, message.snapshot);
  }
  const settled: LogIndex = state.commitIndex;
  acknowledge(state, message.from, settled);
}

function handleReadIndexResponse(state: RaftState, message: MessageOf<"readIndexResponse">): void {
  const context = state.forwardedReads.take(message.context);
  if (context !== null) state.outbox.reads.push({ context, index: message.index });
}

/** There is a leader in this term: a candidate or pre-candidate becomes its follower. */
function followLeader(state: RaftState, { from }: Message): void {
  if (state.role !== "follower") becomeFollower(state, state.term, from);
  setLeader(state, from);
  state.electionElapsedTicks = 0;
}
