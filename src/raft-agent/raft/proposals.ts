/** Proposals: bounded, appended by the leader, handed on by a follower. */
import { EntryKind } from "./entry.ts";
import type { ProposalRefusal, ProposalResult } from "./event.ts";
import { appendEntry } from "./log-changes.ts";
import type { MessageOf } from "./message.ts";
import type { RaftState } from "./state.ts";

/** Takes all payloads in, or none. Accepted means under way, not committed: a lost leader may lose them. */
export function propose(state: RaftState, payloads: readonly Uint8Array[]): ProposalResult {
  const refusal = findRefusal(state, payloads);
  if (refusal !== null) return { accepted: false, reason: refusal };
  if (payloads.length === 0) return { accepted: true };
  if (state.leadership !== null) appendProposals(state, payloads);
  else forwardProposals(state, payloads);
  return { accepted: true };
}

function findRefusal(state: RaftState, payloads: readonly Uint8Array[]): ProposalRefusal | null {
  const { maxProposalBytes, maxUncommittedBytes } = state.settings;
  let bytes = 0;
  for (const payload of payloads) {
    if (payload.length > maxProposalBytes) return "tooLarge";
    bytes += payload.length;
  }
  if (bytes > maxUncommittedBytes) return "tooLarge";
  if (state.leader === null) return "noLeader";
  if (state.leadership === null) {
    return state.outbox.forwardedBytes + bytes > maxUncommittedBytes ? "tooManyInFlight" : null;
  }
  if (state.leadership.transfer !== null) return "leadershipTransferring";
  return uncommittedBytes(state) + bytes > maxUncommittedBytes ? "tooManyInFlight" : null;
}

/** What the leader has taken in without an end in sight: bounded, so that a lost quorum does not fill the memory. */
function uncommittedBytes(state: RaftState): number {
  return state.log.bytesBetween(state.commitIndex + 1, state.log.lastIndex);
}

function appendProposals(state: RaftState, payloads: readonly Uint8Array[]): void {
  const { term, log } = state;
  for (const data of payloads) appendEntry(state, { term, index: log.lastIndex + 1, kind: EntryKind.normal, data });
}

function forwardProposals(state: RaftState, proposals: readonly Uint8Array[]): void {
  const { id, leader, term, outbox, settings } = state;
  if (leader === null) return;
  for (const proposal of proposals) outbox.forward(leader, term, id, proposal, settings.maxAppendBytes);
}

/**
 * Other members' proposals. Their members do not know what became of them, so they are not dropped because leadership is
 * moving: a member that no longer leads sends them on to its leader, and holds them while there is none. Each goes one
 * way only, so none is taken twice. What does not fit is dropped: the proposer has to be ready for a lost one anyway.
 */
export function takeForwardedProposals(state: RaftState, message: MessageOf<"forwardedProposals">): void {
  const { heldProposals, settings, ticks } = state;
  // One by one, since they only happen to travel together.
  for (const proposal of message.proposals) {
    const { accepted } = propose(state, [proposal]);
    if (!accepted && !mayPropose(state)) heldProposals.add(proposal, ticks, settings.maxUncommittedBytes);
  }
}

/** Sends on what was held, once there is a leader to take it. */
export function releaseHeldProposals(state: RaftState): void {
  if (state.heldProposals.isEmpty || !mayPropose(state)) return;
  for (const proposal of state.heldProposals.takeAll()) propose(state, [proposal]);
}

/** Drops what has been held for so long that its member has given up. */
export function expireHeldProposals(state: RaftState): void {
  const { heldProposals, settings, ticks } = state;
  heldProposals.expire(ticks - 2 * settings.electionTimeoutTicks);
}

function mayPropose(state: RaftState): boolean {
  return state.leadership === null ? state.leader !== null : state.leadership.transfer === null;
}
