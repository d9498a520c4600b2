/** Which masters are dead: neither haplan nor the leader hears of them. Pure. */
import type { ObservedMember, ObservedMembership } from "../../../src/plan/observed-cluster.ts";
import type { ResourceChange } from "../../../src/plan/plan.ts";
import { resourceAddress } from "../../../src/plan/resource.ts";
import type { ClusterSpec } from "../../../src/spec/cluster-spec.ts";
import { ownMasters } from "../../../src/spec/machine-hosts.ts";
import type { WatchedMaster } from "./decide-repair.ts";

/** `drift`: why a member does not answer, as the plan knows it. */
export function watchedMasters(
  spec: ClusterSpec,
  membership: ObservedMembership | null,
  drift: readonly ResourceChange[] = [],
): readonly WatchedMaster[] {
  return ownMasters(spec).map(({ name, zone, standIn }) => {
    const reason = drift.find(({ address }) => address === resourceAddress("haplan_raft_member", name))?.reason;
    const dead = isDead(membership, name) ? (reason ?? "it does not answer") : null;
    return { name, zone, onSpare: standIn?.spare ?? null, dead };
  });
}

/**
 * A member that answers with errors is not dead. One that only haplan does not reach is not either: an agent that leads
 * says so, a real etcd does not; and where no leader answers, its host says whether its process is at work.
 */
export function isDead(membership: ObservedMembership | null, master: string): boolean {
  const members = membership?.members ?? [];
  const voters = members.filter(({ name, learner }) => name === master && !learner);
  const isLeaderHeard = members.some(({ leader }) => leader);
  const isAtWork = ({ healthy, raftIndex, heardByLeader, answersItsHost }: ObservedMember): boolean =>
    healthy || raftIndex !== null || heardByLeader === true || (answersItsHost === true && !isLeaderHeard);
  return voters.length > 0 && !voters.some(isAtWork);
}
