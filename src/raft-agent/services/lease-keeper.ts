/** The leader's duty toward leases: proposes the end of those whose time is over, and their checkpoints. */
import { CommandKind } from "../state-machine/command.ts";
import { encodeLeaseCheckpoint, encodeLeaseRevoke } from "../state-machine/command-body.ts";
import type { LeaseId } from "../state-machine/lease-table.ts";
import { expiryBatchMax } from "../state-machine/lessor.ts";
import type { ServiceContext } from "./service-context.ts";

/** Batches proposed in one tick; together with `EXPIRY_BATCH_MAX` it bounds what expiry may put into the log at once. */
const batchesPerTickMax = 4;
/** Keys that go with the leases of one tick, the last of which may have more: all are deleted in one turn of the event loop. */
const keysPerTickMax = 2_000;

/** To be called every 500 ms or more often. */
export function tickLeases(context: ServiceContext): void {
  const { leaseExpiry, proposer, consensus, machine } = context;
  if (!leaseExpiry.primary) return;
  const leaderTerm = consensus.term();
  let keys = 0;
  const isEnough = (id: LeaseId): boolean => {
    keys += machine.store.keysOfLease(id).length;
    return keys >= keysPerTickMax;
  };
  for (let batch = 0; batch < batchesPerTickMax; batch++) {
    const ids = leaseExpiry.takeExpired(isEnough);
    if (ids.length > 0) {
      proposer.propose(CommandKind.leaseRevoke, encodeLeaseRevoke({ ids, leaderTerm }), () => {});
    }
    if (ids.length < expiryBatchMax) break;
  }
  const checkpoints = leaseExpiry.takeCheckpoints();
  if (checkpoints.length > 0) {
    proposer.propose(CommandKind.leaseCheckpoint, encodeLeaseCheckpoint({ checkpoints, leaderTerm }), () => {});
  }
}

/**
 * Tells the leases' clock whether this member leads; to be called whenever the role or the term changes, and as entries are
 * applied. A new leader keeps no times before it has applied an entry of its own term: until then the renewals and
 * checkpoints of its predecessors are in its log and not in its table.
 */
export function followLeadership(context: ServiceContext): void {
  const { leaseExpiry, consensus, machine } = context;
  const leads = consensus.isLeader();
  if (!leads) {
    if (leaseExpiry.primary) leaseExpiry.demote();
  } else if (!leaseExpiry.primary && machine.store.consistentTerm === consensus.term()) {
    leaseExpiry.promote(consensus.electionTimeoutMs);
  }
}
