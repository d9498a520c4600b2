/** The first content of an initial member's store: the initial members, which no log entry names. */
import type { Store } from "../../mvcc/store.ts";
import type { SnapshotMetadata } from "../../raft/configuration.ts";
import type { Member } from "../../state-machine/membership.ts";
import { MembershipStore } from "../../state-machine/membership-store.ts";

/**
 * Resolves once the initial members are on stable storage. An initial member takes no part in an election before:
 * otherwise a restart would depend on the flags of the first start, and `--force-new-cluster` would not know which
 * members to ask.
 */
export async function writeInitialMembers(
  store: Store,
  initialMembers: readonly Member[],
  begin: SnapshotMetadata,
): Promise<void> {
  new MembershipStore(store.metadata).seed(initialMembers, begin.configuration);
  store.setConsistentIndex(begin.index, begin.term);
  await store.flush();
}
