/** What a leader sends to its peers on its own account: entries, commit index, snapshots, heartbeats. */
import type { LogIndex, MemberId } from "./entry.ts";
import type { Progress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import type { PendingRead } from "./read-rounds.ts";
import { send } from "./sending.ts";
import { snapshotMetadataAt } from "./snapshot-metadata.ts";
import type { Leadership, RaftState } from "./state.ts";

/**
 * Brings every peer as far as its window allows. Called once for each `Ready`, so that all proposals of one turn
 * travel together.
 */
export function replicateToAll(state: RaftState, leadership: Leadership): void {
  for (const [peer, progress] of leadership.peers) replicate(state, peer, progress);
}

export function replicate(state: RaftState, peer: MemberId, progress: Progress): void {
  const { lastIndex } = state.log;
  while (!progress.isPaused && progress.nextIndex <= lastIndex) {
    if (state.log.termAt(progress.nextIndex - 1) === null) {
      sendSnapshot(state, peer, progress);
      return;
    }
    const last = state.log.lastWithinBytes(progress.nextIndex, lastIndex, state.settings.maxAppendBytes);
    sendAppend(state, peer, progress, last);
  }
  if (wantsEmptyAppend(state, progress)) sendAppend(state, peer, progress, progress.nextIndex - 1);
}

/**
 * Nothing to replicate, but something to say or to ask. A question passes a full window too: it is how the loss of
 * everything in the window is found.
 */
function wantsEmptyAppend(state: RaftState, progress: Progress): boolean {
  if (progress.state === "probe") return !progress.awaitsAnswer;
  if (progress.state === "snapshot") return false;
  return progress.mustAsk || (!progress.isPaused && progress.sentCommitIndex < state.commitIndex);
}

/** Sends the entries from the follower's next one up to `last`; none when `last` precedes it. */
function sendAppend(state: RaftState, peer: MemberId, progress: Progress, last: LogIndex): void {
  const { log, commitIndex } = state;
  const first = progress.nextIndex;
  send(state, peer, {
    kind: "appendRequest",
    previousIndex: first - 1,
    previousTerm: log.termAt(first - 1) ?? 0,
    entries: log.slice(first, last),
    commitIndex,
    wantsAnswer: last >= first || progress.state === "probe" || progress.mustAsk,
  });
  progress.sentCommitIndex = commitIndex;
  progress.sent(last, last - first + 1, log.bytesBetween(first, last));
}

/** The entries it needs are gone: names the state as applied here, which spares the receiver the most. */
function sendSnapshot(state: RaftState, peer: MemberId, progress: Progress): void {
  // Somebody who does not answer would only hold the transfer open.
  if (!progress.recentlyActive) return;
  const snapshot = snapshotMetadataAt(state, Math.max(state.appliedIndex, state.log.baseIndex));
  send(state, peer, { kind: "snapshotRequest", snapshot });
  progress.becomeSnapshot(snapshot.index);
}

export function sendHeartbeats(state: RaftState, leadership: Leadership): void {
  leadership.heartbeatElapsedTicks = 0;
  for (const [peer, progress] of leadership.peers) {
    // A follower is told of no commitment beyond what it is known to hold: it has nothing to compare it with here.
    const commitIndex: LogIndex = Math.min(progress.matchIndex, state.commitIndex);
    send(state, peer, { kind: "heartbeatRequest", commitIndex, readRound: leadership.reads.sentRound });
  }
}

/** Opens a round for the reads that came since the last one. */
export function startReadRound(state: RaftState, leadership: Leadership): void {
  if (!leadership.reads.needsRound) return;
  leadership.reads.sentRound += 1;
  sendHeartbeats(state, leadership);
  confirmReads(state, leadership);
}

/** Answers the reads whose round a quorum has answered. */
export function confirmReads(state: RaftState, leadership: Leadership): void {
  const { reads, peers } = leadership;
  const answered = quorumValue(state.configurations.current.electorate, (member) =>
    member === state.id ? reads.sentRound : (peers.get(member)?.answeredRound ?? 0),
  );
  reads.confirm(state.settings.rules.confirmedReadRound(answered, reads.sentRound), (read) => answerRead(state, read));
}

function answerRead(state: RaftState, { from, context, index }: PendingRead): void {
  if (from === state.id) state.outbox.reads.push({ context, index });
  else send(state, from, { kind: "readIndexResponse", context, index });
}
