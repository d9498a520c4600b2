/** What a leader sends to its peers on its own initiative: entries, commit index, snapshots, heartbeats. */
import type { LogIndex, MemberId } from "./entry.ts";
import type { Progress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import type { PendingRead } from "./read-rounds.ts";
import { send } from "./sending.ts";
import { snapshotMetadataAt } from "./snapshot-metadata.ts";
import type { Leadership, RaftState } from "./state.ts";

/**
 * Replicates to every peer as far as its window allows. Called once per `Ready`, so that all proposals of one step are
 * batched.
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
  if (needsEmptyAppend(state, progress)) sendAppend(state, peer, progress, progress.nextIndex - 1);
}

/**
 * There are no entries to replicate, but a commit index to send or a probe is due. A probe ignores a full window: it
 * is how the loss of everything in the window is detected.
 */
function needsEmptyAppend(state: RaftState, progress: Progress): boolean {
  if (progress.state === "probe") return !progress.probeInFlight;
  if (progress.state === "snapshot") return false;
  return progress.probeDue || (!progress.isPaused && progress.sentCommitIndex < state.commitIndex);
}

/** Sends the entries from the follower's next index up to `last`; none when `last` precedes it. */
function sendAppend(state: RaftState, peer: MemberId, progress: Progress, last: LogIndex): void {
  const { log, commitIndex } = state;
  const first = progress.nextIndex;
  send(state, peer, {
    kind: "appendRequest",
    previousIndex: first - 1,
    previousTerm: log.termAt(first - 1) ?? 0,
    entries: log.slice(first, last),
    commitIndex,
    needsAck: last >= first || progress.state === "probe" || progress.probeDue,
  });
  progress.sentCommitIndex = commitIndex;
  progress.sent(last, last - first + 1, log.bytesBetween(first, last));
}

/**
 * The entries the follower needs are compacted: names the state applied here, which leaves the receiver the least to
 * replicate.
 */
function sendSnapshot(state: RaftState, peer: MemberId, progress: Progress): void {
  // A peer that does not respond would only delay the transfer.
  if (!progress.recentlyActive) return;
  const snapshot = snapshotMetadataAt(state, Math.max(state.appliedIndex, state.log.baseIndex));
  send(state, peer, { kind: "snapshotRequest", snapshot });
  progress.becomeSnapshot(snapshot.index);
}

export function sendHeartbeats(state: RaftState, leadership: Leadership): void {
  leadership.heartbeatElapsedTicks = 0;
  for (const [peer, progress] of leadership.peers) {
    // A follower is never sent a commit index beyond what it is known to hold: a heartbeat has no log position to
    // check it against.
    const commitIndex: LogIndex = Math.min(progress.matchIndex, state.commitIndex);
    send(state, peer, { kind: "heartbeatRequest", commitIndex, readRound: leadership.reads.sentRound });
  }
}

/** Starts a round for the reads that arrived since the last one. */
export function startReadRound(state: RaftState, leadership: Leadership): void {
  if (!leadership.reads.needsRound) return;
  leadership.reads.sentRound += 1;
  sendHeartbeats(state, leadership);
  confirmReads(state, leadership);
}

/** Answers the reads whose round a quorum has acknowledged. */
export function confirmReads(state: RaftState, leadership: Leadership): void {
  const { reads, peers } = leadership;
  const answered = quorumValue(state.configurations.current.voterGroups, (member) =>
    member === state.id ? reads.sentRound : (peers.get(member)?.answeredRound ?? 0),
  );
  reads.confirm(state.settings.rules.confirmedReadRound(answered, reads.sentRound), (read) => answerRead(state, read));
}

function answerRead(state: RaftState, { from, context, index }: PendingRead): void {
  if (from === state.id) state.outbox.reads.push({ context, index });
  else send(state, from, { kind: "readIndexResponse", context, index });
}
