/** The leader's duty for leases: proposes the revokes of expired ones, and checkpoints. */
import { CommandKind } from "../state-machine/command.ts";
import { encodeLeaseCheckpoint, encodeLeaseRevoke } from "../state-machine/command-body.ts";
import type { LeaseId } from "../state-machine/lease-table.ts";
import { expiryBatchMax } from "../state-machine/lessor.ts";
import type { ServiceContext } from "./service-context.ts";

/** Batches proposed in one tick; together with `expiryBatchMax` it bounds what expiry may append to the log at once. */
const batchesPerTickMax = 4;
/**
 * The number of keys deleted with the leases of one tick, the last of which may have more: all are deleted in one turn
 * of the event loop.
 */
const keysPerTickMax = 2_000;

/** Called every 500 ms or more often. */
export function tickLeases(context: ServiceContext): void {
  const { lessor, proposer, consensus, machine } = context;
  if (!lessor.primary) return;
  const leaderTerm = consensus.term();
  let keys = 0;
  const isEnough = (id: LeaseId): boolean => {
    keys += machine.store.keysOfLease(id).length;
    return keys >= keysPerTickMax;
  };
  for (let batch = 0; batch < batchesPerTickMax; batch++) {
    const ids = lessor.takeExpired(isEnough);
    if (ids.length > 0) {
      proposer.propose(CommandKind.leaseRevoke, encodeLeaseRevoke({ ids, leaderTerm }), () => {});
    }
    if (ids.length < expiryBatchMax) break;
  }
  const checkpoints = lessor.takeCheckpoints();
  if (checkpoints.length > 0) {
    proposer.propose(CommandKind.leaseCheckpoint, encodeLeaseCheckpoint({ checkpoints, leaderTerm }), () => {});
  }
}

/**
 * Tells the lessor whether this member leads; called whenever the role or the term changes, and as entries are
 * applied. A new leader tracks no TTLs before it has applied an entry of its own term: until then the renewals and
 * checkpoints of its predecessors are in its log but not in its table.
 */
export function followLeadership(context: ServiceContext): void {
  const { lessor, consensus, machine } = context;
  const leads = consensus.isLeader();
  if (!leads) {
    if (lessor.primary) lessor.demote();
  } else if (!lessor.primary && machine.store.consistentTerm === consensus.term()) {
    lessor.promote(consensus.electionTimeoutMs);
  }
}
