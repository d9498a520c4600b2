/** Proposals: bounded, appended by the leader, handed on by a follower. */
import { EntryKind } from "./entry.ts";
import type { ProposalRefusal, ProposalResult } from "./event.ts";
import { appendEntry } from "./log-changes.ts";
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
