/** Another leader starts every lease of a cluster anew, with its whole TTL: also those that have run out while it was frozen. */
import { systemClock } from "../base/clock.ts";
import type { MemberStatus } from "../etcd-client/maintenance-client.ts";
import type { ClusterEnd } from "./cluster-end.ts";

const timeoutMs = 10_000;
const pauseMs = 100;

/** Hands the leadership to another member. A cluster of one member has none. */
export async function yieldLeadership({ pool, endpoints }: ClusterEnd): Promise<void> {
  const statuses = async (): Promise<readonly (MemberStatus & { readonly endpoint: string })[]> => {
    const found = await Promise.all(
      endpoints.map((endpoint) =>
        pool
          .client(endpoint)
          .maintenance.status()
          .then((status) => ({ ...status, endpoint }))
          .catch(() => null),
      ),
    );
    return found.filter((status) => status !== null);
  };
  const deadlineMs = performance.now() + timeoutMs;
  const first = (await statuses()).find(({ leader }) => leader !== null)?.leader ?? null;
  for (;;) {
    const present = await statuses();
    const leader = present.find(({ memberId, leader: led }) => led === memberId);
    const heir = present.find(({ memberId }) => memberId !== leader?.memberId);
    if (leader !== undefined && leader.memberId !== first) return;
    if (heir === undefined && present.length === endpoints.length) return;
    if (leader !== undefined && heir !== undefined) {
      await pool
        .client(leader.endpoint)
        .maintenance.moveLeader(heir.memberId)
        .catch(() => undefined);
    }
    if (performance.now() > deadlineMs) throw new Error("the old cluster cannot hand its leadership to another member");
    await systemClock.sleep(pauseMs);
  }
}
