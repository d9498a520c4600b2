/** Turning what has collected into a `Ready`: what to send, persist, apply and answer. */
import type { Entry, HardState, LogIndex } from "./entry.ts";
import { releaseHeldProposals } from "./proposals.ts";
import type { Ready, SoftState } from "./ready.ts";
import { replicateToAll, startReadRound } from "./replication.ts";
import type { RaftState } from "./state.ts";

/** Returns null when there is nothing to do. `reported` is the soft state that the driver knows. */
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
 * What to write. The commit index alone is no reason for a write, it only rides along: it merely speeds up a restart.
 * Answers that wait for the disk need a ticket of their own while earlier batches are under way; otherwise everything
 * they promise is durable already and they leave at once.
 */
function takeBatch(state: RaftState): Batch {
  const { durability, outbox, log } = state;
  const entries = log.slice(durability.unsavedFrom, log.lastIndex);
  const hasChanges = state.term !== durability.handedOut.term || state.votedFor !== durability.handedOut.votedFor;
  const hasContent = hasChanges || entries.length > 0 || outbox.installSnapshot !== null;
  if (!hasContent && (durability.isIdle || outbox.afterPersist.length === 0)) {
    outbox.releaseAfterPersist();
    return { persistTicket: null, hardState: null, entries };
  }
  const writesHardState = hasContent && (hasChanges || state.commitIndex !== durability.handedOut.commitIndex);
  const hardState: HardState = { term: state.term, votedFor: state.votedFor, commitIndex: state.commitIndex };
  const persistTicket = durability.begin(log.lastIndex, writesHardState ? hardState : durability.handedOut);
  return { persistTicket, hardState: writesHardState ? hardState : null, entries };
}

/** Committed entries that a restart would find here as well, as many as one `Ready` may carry. */
function takeCommitted(state: RaftState): readonly Entry[] {
  const from = state.handedOutIndex + 1;
  const durablyCommitted: LogIndex = Math.min(state.commitIndex, state.durability.durableIndex);
  if (from > durablyCommitted) return state.log.slice(from, durablyCommitted);
  const to = state.log.lastWithinBytes(from, durablyCommitted, state.settings.maxCommittedBytes);
  state.handedOutIndex = to;
  return state.log.slice(from, to);
}

function changedSoftState({ role, leader, term }: RaftState, reported: SoftState): SoftState | null {
  if (role === reported.role && leader === reported.leader && term === reported.term) return null;
  return { role, leader, term };
}
