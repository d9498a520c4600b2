/** Which member takes the backup of an interval. Pure. */
import type { MemberId } from "../../raft/entry.ts";

export type BackupChoice = {
  /** The number of the interval. */
  readonly interval: number;
  readonly self: MemberId;
  readonly voters: readonly MemberId[];
  readonly leader: MemberId;
  isConnected(member: MemberId): boolean;
};

/**
 * Followers take turns, because the leader has more to do; it takes one itself if it reaches no follower. Each member decides for itself:
 * while they see different members, an interval may have two backups, or none.
 */
export function backupMember({ interval, self, voters, leader, isConnected }: BackupChoice): MemberId {
  const followers = voters.filter((voter) => voter !== leader && (voter === self || isConnected(voter))).toSorted();
  return followers[interval % followers.length] ?? leader;
}
