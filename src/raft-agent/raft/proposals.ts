/** Proposals: bounded, appended by the leader, forwarded by a follower. */
import { EntryKind } from "./entry.ts";
import type { ProposalRejection, ProposalResult } from "./event.ts";
import { appendEntry } from "./log-changes.ts";
import type { MessageOf } from "./message.ts";
import type { RaftState } from "./state.ts";

/** Accepts all payloads, or none. Accepted does not mean committed: a change of leader may lose them. */
export function propose(state: RaftState, payloads: readonly Uint8Array[]): ProposalResult {
  const rejection = rejectionReason(state, payloads);
  if (rejection !== null) return { accepted: false, reason: rejection };
  if (payloads.length === 0) return { accepted: true };
  if (state.leadership !== null) appendProposals(state, payloads);
  else forwardProposals(state, payloads);
  return { accepted: true };
}

function rejectionReason(state: RaftState, payloads: readonly Uint8Array[]): ProposalRejection | null {
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

/** What the leader has accepted but not committed: bounded, so that a lost quorum does not exhaust memory. */
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
 * Handles proposals forwarded by other members. Those members do not learn the outcome, so the proposals are not
 * dropped because leadership is moving: a member that no longer leads forwards them to its leader, and holds them
 * while there is none. Each is forwarded in one direction only, so none is appended twice. What does not fit is
 * dropped: the proposer must handle a lost proposal anyway.
 */
export function handleForwardedProposals(state: RaftState, message: MessageOf<"forwardedProposals">): void {
  const { heldProposals, settings, ticks } = state;
  // One by one, since they are only batched for transport.
  for (const proposal of message.proposals) {
    const { accepted } = propose(state, [proposal]);
    if (!accepted && !mayPropose(state)) heldProposals.add(proposal, ticks, settings.maxUncommittedBytes);
  }
}

/** Forwards the held proposals once there is a leader. */
export function releaseHeldProposals(state: RaftState): void {
  if (state.heldProposals.isEmpty || !mayPropose(state)) return;
  for (const proposal of state.heldProposals.takeAll()) propose(state, [proposal]);
}

/** Drops proposals that have been held for so long that their member has timed out. */
export function expireHeldProposals(state: RaftState): void {
  const { heldProposals, settings, ticks } = state;
  heldProposals.expire(ticks - 2 * settings.electionTimeoutTicks);
}

function mayPropose(state: RaftState): boolean {
  return state.leadership === null ? state.leader !== null : state.leadership.transfer === null;
}
