/** After the faults: every member runs, has applied the same entries, and has the same data, including history. */

import { crc32c } from "../../../src/base/crc32c.ts";
import type { Store } from "../../../src/raft-agent/mvcc/store.ts";
import type { MemberId } from "../../../src/raft-agent/raft/entry.ts";
import type { Cluster } from "../cluster.ts";
import { Violation } from "../violation.ts";

export function isAtRest(cluster: Cluster): boolean {
  return whyNotSettled(cluster) === null;
}

/** Null when it has settled. @throws Violation members have applied the same entries but have different data. */
export function whyNotSettled(cluster: Cluster): string | null {
  const leader = cluster.leaderHost();
  if (leader === null) return "there is no leader";
  const { voters, learners } = leader.process!.link.status().configuration;
  const { commitIndex, lastIndex } = leader.process!.link.status();
  if (commitIndex < lastIndex) return `only ${commitIndex} of ${lastIndex} entries are committed`;
  const digests = new Map<string, MemberId>();
  for (const id of [...voters, ...learners]) {
    const process = cluster.hosts.get(id)?.process;
    if (process === undefined || process === null) return `member ${id} is not running`;
    if (process.store.consistentIndex < commitIndex) {
      return `member ${id} has applied ${process.store.consistentIndex} of ${commitIndex} entries`;
    }
    digests.set(contentDigest(process.store), id);
  }
  if (digests.size > 1) {
    throw new Violation("state machine safety", `members have different data: ${[...digests.values()].join(", ")}`);
  }
  return null;
}

/** The stores of all voters. */
export function storesOf(cluster: Cluster): ReadonlyMap<MemberId, Store> {
  const voters = cluster.leaderHost()?.process?.link.status().configuration.voters ?? [];
  return new Map(voters.map((id) => [id, cluster.hosts.get(id)!.process!.store]));
}

function contentDigest(store: Store): string {
  let crc = 0;
  // Compaction is incremental, and not simultaneous on all members.
  store.history(store.compactedRevision + 1, store.revision, ({ kv, revision }) => {
    crc = crc32c(kv, 0, kv.length, (crc ^ revision) >>> 0);
    return true;
  });
  return `${store.revision}/${store.compactedRevision}/${store.keyCount}/${crc}`;
}
