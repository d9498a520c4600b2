/**
 * A follower: takes the leader's log over, votes, and starts an election when it hears nothing for too long. A
 * follower that knows no leader (after a start, or a lost connection) is the same role with `leader` null.
 */
import { HaplanError } from "../../base/haplan-error.ts";
import { isVoter } from "./configuration.ts";
import { answerVoteRequest, campaign, mayStand } from "./election.ts";
import type { Entry, LogIndex, MemberId } from "./entry.ts";
import { appendEntry, commitUpTo, replaceLog, truncateLog } from "./log-changes.ts";
import type { Message, MessageOf } from "./message.ts";
import { takeForwardedProposals } from "./proposals.ts";
import { ignore, type Reactions } from "./reactions.ts";
import { becomeFollower, setLeader } from "./role-change.ts";
import { acknowledge, send } from "./sending.ts";
import type { RaftState } from "./state.ts";

export const followerReactions: Reactions = {
  voteRequest: answerVoteRequest,
  voteResponse: ignore,
  appendRequest: acceptAppend,
  appendResponse: ignore,
  heartbeatRequest: acceptHeartbeat,
  heartbeatResponse: ignore,
  snapshotRequest: acceptSnapshot,
  timeoutNowRequest: (state) => campaign(state, { leadershipTransfer: true }),
  forwardedProposals: takeForwardedProposals,
  readIndexRequest: ignore,
  readIndexResponse: acceptReadIndex,
};

export function tickFollower(state: RaftState): void {
  state.electionElapsedTicks += 1;
  if (state.electionElapsedTicks < state.electionDeadlineTicks) return;
  // Also when this member may not stand itself: others may need its vote, so its loyalty has to end.
  becomeFollower(state, state.term, null);
  campaign(state, { leadershipTransfer: false });
}

/**
 * The leader's end closed the connection. That alone proves nothing, but it releases this member from its loyalty and
 * lets it ask around at once: with a living leader, the other voters stay loyal and the pre-vote comes to nothing;
 * with a dead one they have been disconnected as well. The voters take turns, lowest id first, so that they do not
 * split the vote; whoever says yes to another's question gives its turn away (`giveWay`).
 */
export function loseLeader(state: RaftState, leader: MemberId): void {
  setLeader(state, null);
  const { configuration, members } = state.configurations.current;
  if (!state.settings.preVote || !mayStand(state)) return;
  const turn = members.filter(
    (member) => member < state.id && member !== leader && isVoter(configuration, member),
  ).length;
  state.hasTurn = true;
  state.electionElapsedTicks = 0;
  state.electionDeadlineTicks = Math.max(1, turn * state.settings.disconnectStaggerTicks);
  if (turn === 0) campaign(state, { leadershipTransfer: false });
}

/** Takes entries over from the leader of the current term (Raft §5.3). */
export function acceptAppend(state: RaftState, message: MessageOf<"appendRequest">): void {
  hearLeader(state, message);
  const { previousIndex, previousTerm, entries } = message;
  if (previousIndex < state.commitIndex) {
    // What is committed is settled; an append that starts before it is an old one.
    acknowledge(state, message.from, state.commitIndex);
  } else if (state.log.termAt(previousIndex) !== previousTerm) {
    refuseAppend(state, message);
  } else {
    takeEntries(state, entries);
    const equalUpTo = previousIndex + entries.length;
    commitUpTo(state, Math.min(message.commitIndex, equalUpTo));
    if (message.wantsAnswer) acknowledge(state, message.from, equalUpTo);
  }
}

/** Says where the logs may still agree, so that the leader skips whole terms; promises nothing, so it need not wait. */
function refuseAppend(state: RaftState, { from, previousIndex, previousTerm }: MessageOf<"appendRequest">): void {
  const hint = state.log.lastAtOrBelowTerm(Math.min(previousIndex, state.log.lastIndex), previousTerm);
  send(state, from, {
    kind: "appendResponse",
    accepted: false,
    index: previousIndex,
    hintIndex: hint.index,
    hintTerm: hint.term,
  });
}

/** Entries that are here already are left alone: removing them would take back what was acknowledged (Raft §5.3). */
function takeEntries(state: RaftState, entries: readonly Entry[]): void {
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
 * @throws HaplanError `raft/lost-entries` when this member has acknowledged more than its log holds: it was put back to an
 * older copy, or its disk lost what it had synced.
 */
export function acceptHeartbeat(state: RaftState, message: MessageOf<"heartbeatRequest">): void {
  hearLeader(state, message);
  const { lastIndex } = state.log;
  if (state.settings.rules.hasLostEntries(message.commitIndex, lastIndex)) throw lostEntries(message, lastIndex);
  commitUpTo(state, Math.min(message.commitIndex, state.log.lastIndex));
  send(state, message.from, { kind: "heartbeatResponse", readRound: message.readRound });
}

function lostEntries({ from, commitIndex }: MessageOf<"heartbeatRequest">, lastIndex: LogIndex): HaplanError {
  return new HaplanError(
    "raft/lost-entries",
    `This member has lost entries of its log: it had acknowledged everything up to entry ${commitIndex} to the leader ${from}, ` +
      `and its log ends at entry ${lastIndex}. Its data was put back to an older copy, or its disk lost what it had synced`,
  );
}

/** The driver holds the complete snapshot: puts it in the place of the log, unless the log has it all (Raft §7). */
export function acceptSnapshot(state: RaftState, message: MessageOf<"snapshotRequest">): void {
  hearLeader(state, message);
  const { index, term } = message.snapshot;
  if (index > state.commitIndex) {
    if (state.log.termAt(index) === term) commitUpTo(state, index);
    else replaceLog(state, message.snapshot);
  }
  const settled: LogIndex = state.commitIndex;
  acknowledge(state, message.from, settled);
}

function acceptReadIndex(state: RaftState, message: MessageOf<"readIndexResponse">): void {
  const context = state.forwardedReads.take(message.context);
  if (context !== null) state.outbox.reads.push({ context, index: message.index });
}

/** There is a leader in this term: whoever was looking for one stops. */
function hearLeader(state: RaftState, { from }: Message): void {
  if (state.role !== "follower") becomeFollower(state, state.term, from);
  setLeader(state, from);
  state.electionElapsedTicks = 0;
}
