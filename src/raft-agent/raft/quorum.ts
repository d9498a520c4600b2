/**
 * Majority arithmetic. An electorate is a list of groups, each of which decides by its own majority: one group
 * normally, two in a joint configuration (Raft §6). A decision needs all groups. Groups have a handful of members, so
 * counting in nested loops beats sorting and allocates nothing.
 */
import type { MemberId } from "./entry.ts";

export type Electorate = readonly (readonly MemberId[])[];

export type VoteResult = "won" | "lost" | "pending";

/** The least number of members that is more than half of `size`. */
export function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1;
}

/**
 * The largest value that a majority of every group has reached: the commit index when `reachedBy` is the match index,
 * the confirmed round when it is the acknowledged read round. 0 when nobody votes.
 */
export function quorumValue(electorate: Electorate, reachedBy: (member: MemberId) => number): number {
  let reached = Number.POSITIVE_INFINITY;
  for (const group of electorate) reached = Math.min(reached, majorityValue(group, reachedBy));
  return electorate.length === 0 ? 0 : reached;
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

/** Counts votes. Lost as soon as one group cannot reach its majority any more; an empty electorate elects nobody. */
export function tallyVotes(electorate: Electorate, voteOf: (member: MemberId) => boolean | undefined): VoteResult {
  if (electorate.length === 0) return "lost";
  let result: VoteResult = "won";
  for (const group of electorate) {
    const groupResult = tallyGroup(group, voteOf);
    if (groupResult === "lost") return "lost";
    if (groupResult === "pending") result = "pending";
  }
  return result;
}

function tallyGroup(group: readonly MemberId[], voteOf: (member: MemberId) => boolean | undefined): VoteResult {
  const needed = majorityOf(group.length);
  let granted = 0;
  let refused = 0;
  for (const member of group) {
    const vote = voteOf(member);
    if (vote === true) granted += 1;
    else if (vote === false) refused += 1;
  }
  if (granted >= needed) return "won";
  return group.length - refused < needed ? "lost" : "pending";
}
