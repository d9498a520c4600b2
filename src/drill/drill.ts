/** The values of a drill: chosen faults on the live cluster, one after the other, and the guard that allows each of them. */
import type { ObservedMember, ObservedMembership } from "../plan/observed-cluster.ts";
import { canLose, type QuorumModel } from "../plan/quorum-model.ts";

/**
 * `restart`, `pause`: of a follower. `leader`: the leadership moves to a follower and back. `vip`: the virtual address of the load
 * balancers moves to another one and back.
 */
export type DrillFaultKind = "restart" | "pause" | "leader" | "vip";

export const drillFaultKinds: readonly DrillFaultKind[] = ["restart", "pause", "leader", "vip"];

/** `member` is the one that is restarted or paused, or that leads meanwhile; with `vip` the load balancer that has the address. */
export type DrillFault = { readonly kind: DrillFaultKind; readonly member: string };

export type DrillResult = {
  readonly fault: DrillFault;
  /** Null: the cluster is as it was before. */
  readonly problem: string | null;
  readonly elapsedMs: number;
  /** The longest time that a client waited for a write meanwhile; null if it was not measured. */
  readonly longestGapMs: number | null;
};

export type DrillReport = {
  readonly cluster: string;
  readonly results: readonly DrillResult[];
  /** Faults that were not begun, after one that was not held or a request to stop. */
  readonly leftOut: readonly DrillFault[];
};

export function drillHeld({ results, leftOut }: DrillReport): boolean {
  return leftOut.length === 0 && results.every(({ problem }) => problem === null);
}

/** Why no voter may fail now; null if one may. `missing` is one that is counted as down. */
export function quorumAtStake(membership: ObservedMembership | null, missing: string | null = null): string | null {
  if (membership === null) return "no member answers";
  if (!membership.hasLeader) return "there is no leader";
  if (membership.votersOutgoing.length > 0) return "a membership change is in progress";
  const tolerance = canLose(modelOf(membership, missing));
  if (tolerance === null) return "there is no quorum";
  if (tolerance > 0 || missing !== null) return null;
  const down = membership.members
    .filter(({ learner, healthy }) => !learner && !healthy)
    .map(({ name, id }) => name || id);
  return down.length === 0
    ? "with so few voters none may fail"
    : `${down.join(", ")} ${down.length === 1 ? "is" : "are"} not healthy, and no further voter may fail`;
}

function modelOf({ members, votersOutgoing }: ObservedMembership, missing: string | null): QuorumModel {
  return {
    members: members.map(({ id, name, healthy }) => ({ key: id, name, up: healthy && name !== missing })),
    voters: members.filter(({ learner }) => !learner).map(({ id }) => id),
    votersOutgoing,
  };
}

/** Followers that a fault may have, by name; `chosen` empty: any. */
export function faultableFollowers(
  { members }: ObservedMembership,
  chosen: readonly string[],
): readonly ObservedMember[] {
  return members
    .filter(({ learner, healthy, leader, name }) => !learner && healthy && !leader && name !== "")
    .filter(({ name }) => chosen.length === 0 || chosen.includes(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Why each of these may have no fault, as sentences. */
export function whyNotFaultable({ members }: ObservedMembership, names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const found = members.filter((member) => member.name === name);
    if (found.length === 0) return [`${name} is no member.`];
    if (found.some(({ leader }) => leader)) return [`${name} is the leader.`];
    if (found.every(({ learner }) => learner)) return [`${name} is a learner.`];
    return found.some(({ healthy }) => healthy) ? [] : [`${name} is not healthy.`];
  });
}

/** Members that were healthy before and are not now. */
export function missingAfter(before: ObservedMembership, now: ObservedMembership | null): readonly string[] {
  const healthy = new Set((now?.hasLeader ? now.members : []).filter((each) => each.healthy).map(({ id }) => id));
  return before.members.filter((each) => each.healthy && !healthy.has(each.id)).map(({ name, id }) => name || id);
}
