/**
 * Majority arithmetic. Voter groups are a list of groups, each of which decides by its own majority: one group
 * normally, two in a joint configuration (Raft §6; etcd: JointConfig). A decision needs all groups. Groups have few
 * members, so nested loops beat sorting and allocate nothing.
 */
import { majorityOf } from "../../base/majority.ts";
import type { MemberId } from "./entry.ts";

export type VoterGroups = readonly (readonly MemberId[])[];

export type VoteResult = "won" | "lost" | "pending";

/**
 * The largest value that a majority of every group has reached: the commit index when `reachedBy` is the match index,
 * the confirmed round when it is the acknowledged read round. 0 when there are no voters.
 */
export function quorumValue(voterGroups: VoterGroups, reachedBy: (member: MemberId) => number): number {
  let reached = Number.POSITIVE_INFINITY;
  for (const group of voterGroups) reached = Math.min(reached, majorityValue(group, reachedBy));
  return voterGroups.length === 0 ? 0 : reached;
}

function majorityValue(group: readonly MemberId[], reachedBy: (member: MemberId) => number): number {
  const needed = majorityOf(group.length);
  let best = 0;
  for (const member of group) {
    const value = reachedBy(member);
    if (value > best && countReached(group, reachedBy, value) >= needed) best = value;
  }
  return best;
}

function countReached(group: readonly MemberId[], reachedBy: (member: MemberId) => number, value: number): number {
  let count = 0;
  for (const member of group) if (reachedBy(member) >= value) count += 1;
  return count;
}

/** Counts votes. Lost as soon as one group can no longer reach its majority; without voters no election is won. */
export function tallyVotes(voterGroups: VoterGroups, voteOf: (member: MemberId) => boolean | undefined): VoteResult {
  if (voterGroups.length === 0) return "lost";
  let result: VoteResult = "won";
  for (const group of voterGroups) {
    const groupResult = tallyGroup(group, voteOf);
    if (groupResult === "lost") return "lost";
    if (groupResult === "pending") result = "pending";
  }
  return result;
}

function tallyGroup(group: readonly MemberId[], voteOf: (member: MemberId) => boolean | undefined): VoteResult {
  const needed = majorityOf(group.length);
  let granted = 0;
  let rejected = 0;
  for (const member of group) {
    const vote = voteOf(member);
    if (vote === true) granted += 1;
    else if (vote === false) rejected += 1;
  }
  if (granted >= needed) return "won";
  return group.length - rejected < needed ? "lost" : "pending";
}
