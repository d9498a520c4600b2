/** The first content of a founder's store: the founding members, which no log entry names. */
import type { Store } from "../../mvcc/store.ts";
import type { SnapshotMetadata } from "../../raft/configuration.ts";
import type { Member } from "../../state-machine/membership.ts";
import { MembershipStore } from "../../state-machine/membership-store.ts";

/**
 * Resolves once the founders are on stable storage. A founder takes no part in an election before: without them a
 * restart would depend on the flags of the first start, and `--force-new-cluster` would not know which members to ask.
 */
export async function seedFounders(store: Store, founders: readonly Member[], begin: SnapshotMetadata): Promise<void> {
  new MembershipStore(store.metadata).seed(founders, begin.configuration);
  store.setConsistentIndex(begin.index, begin.term);
  await store.flush();
}
