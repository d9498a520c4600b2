/** Turns the accumulated effects into a `Ready`: what to send, persist, apply and answer. */
import type { Entry, HardState, LogIndex } from "./entry.ts";
import { releaseHeldProposals } from "./proposals.ts";
import type { Ready, SoftState } from "./ready.ts";
import { replicateToAll, startReadRound } from "./replication.ts";
import type { RaftState } from "./state.ts";

/** Returns null when there is nothing to do. `reported` is the soft state that the driver has last seen. */
export function collectReady(state: RaftState, reported: SoftState): Ready | null {
  releaseHeldProposals(state);
  if (state.leadership !== null) {
    replicateToAll(state, state.leadership);
    startReadRound(state, state.leadership);
  }
  const softState = changedSoftState(state, reported);
  const batch = takeBatch(state);
  const committed = takeCommitted(state);
  const { outbox } = state;
  const { messages, afterPersist, reads, failedReads, installSnapshot } = outbox;
  const isEmpty =
    softState === null &&
    batch.persistTicket === null &&
    committed.length + messages.length + reads.length + failedReads.length === 0;
  if (isEmpty) return null;
  outbox.clear();
  return {
    persistTicket: batch.persistTicket,
    hardState: batch.hardState,
    entries: batch.entries,
    installSnapshot,
    messages,
    messagesAfterPersist: afterPersist,
    committed,
    reads,
    failedReads,
    softState,
  };
}

type Batch = Pick<Ready, "persistTicket" | "hardState" | "entries">;

/**
 * The batch to write. A changed commit index alone does not cause a write; it is only included in one, since it merely
 * speeds up a restart. Messages that wait for the disk need a ticket of their own while earlier batches are in flight;
 * otherwise everything they promise is already durable and they are sent at once.
 */
function takeBatch(state: RaftState): Batch {
  const { durability, outbox, log } = state;
  const entries = log.slice(durability.unsavedFrom, log.lastIndex);
  const hasChanges =
    state.term !== durability.batchedHardState.term || state.votedFor !== durability.batchedHardState.votedFor;
  const hasContent = hasChanges || entries.length > 0 || outbox.installSnapshot !== null;
  if (!hasContent && (durability.isIdle || outbox.afterPersist.length === 0)) {
    outbox.releaseAfterPersist();
    return { persistTicket: null, hardState: null, entries };
  }
  const writesHardState = hasContent && (hasChanges || state.commitIndex !== durability.batchedHardState.commitIndex);
  const hardState: HardState = { term: state.term, votedFor: state.votedFor, commitIndex: state.commitIndex };
  const persistTicket = durability.begin(log.lastIndex, writesHardState ? hardState : durability.batchedHardState);
  return { persistTicket, hardState: writesHardState ? hardState : null, entries };
}

/** Committed entries that a restart would also find here, as many as one `Ready` may carry. */
function takeCommitted(state: RaftState): readonly Entry[] {
  const from = state.deliveredIndex + 1;
  const durablyCommitted: LogIndex = Math.min(state.commitIndex, state.durability.durableIndex);
  if (from > durablyCommitted) return state.log.slice(from, durablyCommitted);
  const to = state.log.lastWithinBytes(from, durablyCommitted, state.settings.maxCommittedBytes);
  state.deliveredIndex = to;
  return state.log.slice(from, to);
}

function changedSoftState({ role, leader, term }: RaftState, reported: SoftState): SoftState | null {
  if (role === reported.role && leader === reported.leader && term === reported.term) return null;
  return { role, leader, term };
}
