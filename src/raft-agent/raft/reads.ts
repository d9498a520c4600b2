/** Linearizable reads as requested by the driver, on any member (thesis §6.4). */
import { mayServeReads } from "./commit.ts";
import type { MessageOf } from "./message.ts";
import { send } from "./sending.ts";
import type { Leadership, RaftState } from "./state.ts";

/**
 * Requests a read index. The outcome appears in a later `Ready` under the same `context`: among `reads`, or among
 * `failedReads` when there is no leader, too many reads are pending, or the leader was lost or did not respond.
 */
export function requestRead(state: RaftState, context: number): void {
  const taken =
    state.leadership !== null ? readAsLeader(state, state.leadership, context) : forwardRead(state, context);
  if (!taken) state.outbox.failedReads.push(context);
}

function readAsLeader(state: RaftState, leadership: Leadership, context: number): boolean {
  return leadership.reads.register(state.id, context, knownCommitIndex(state, leadership));
}

function forwardRead(state: RaftState, context: number): boolean {
  const { leader, forwardedReads, settings } = state;
  if (leader === null || forwardedReads.size >= settings.maxPendingReads) return false;
  const number = forwardedReads.add(context, state.ticks + settings.electionTimeoutTicks);
  send(state, leader, { kind: "readIndexRequest", context: number });
  return true;
}

/** Handles a read of a follower. When too many are pending it is not answered, and the follower lets it expire. */
export function handleForwardedRead(
  state: RaftState,
  leadership: Leadership,
  { from, context }: MessageOf<"readIndexRequest">,
): void {
  leadership.reads.register(from, context, knownCommitIndex(state, leadership));
}

function knownCommitIndex(state: RaftState, leadership: Leadership): number | null {
  return mayServeReads(state, leadership) ? state.commitIndex : null;
}

/** Fails the reads that an unresponsive leader has not answered. */
export function expireForwardedReads(state: RaftState): void {
  for (const context of state.forwardedReads.takeExpired(state.ticks)) state.outbox.failedReads.push(context);
}
