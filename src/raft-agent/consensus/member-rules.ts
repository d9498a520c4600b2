/**
 * The rules of membership changes, as pure functions: etcd's own (strict-reconfig-check,
 * server/etcdserver/api/membership/cluster.go), and haplan's rule that the number of voters is odd.
 *
 * A future voter joins as a learner and waits until it has caught up and the number of voters stays odd: two pending
 * voters are promoted by one joint change. So etcd's `member add` and `member promote` work as usual, and the cluster
 * never passes through four voters on its way from three to five.
 */
import { majorityOf } from "../../base/majority.ts";
import type { Configuration } from "../raft/configuration.ts";
import type { MemberId } from "../raft/entry.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";
import type { Member } from "../state-machine/membership.ts";
import type { PeerProgress } from "./consensus-port.ts";

/** etcd's threshold: a learner in sync has this share of the leader's log. */
const readyShare = 0.9;
/** How long members must have been connected for a change to be considered safe. */
const healthyMs = 5_000;

export type MemberFacts = {
  readonly self: MemberId;
  readonly members: readonly Member[];
  readonly configuration: Configuration;
  readonly progress: readonly PeerProgress[];
  /** See `ConsensusPort.connectedMs`. */
  connectedMs(member: MemberId): number | null;
};

/** Members that etcd counts as voting members: all that were not added as learners. */
function votingMembers(members: readonly Member[]): Member[] {
  return members.filter((member) => !member.learner);
}

/**
 * A peer URL belongs to one member, with one exception that etcd does not make: a learner may take the URL of a member
 * that is not connected, so that a member whose data is lost can be replaced in place by one joint change.
 */
export function checkMemberAdd(facts: MemberFacts, peerUrls: readonly string[], asLearner = false): EtcdError | null {
  const holders = facts.members.filter((member) => member.peerUrls.some((url) => peerUrls.includes(url)));
  const taken = holders.some(
    (member) => !asLearner || member.learner || member.id === facts.self || facts.connectedMs(member.id) !== null,
  );
  return taken ? EtcdErrors.peerUrlExists : null;
}

/**
 * The strict checks before a member is added. etcd counts the new member among those that are down; here it has no
 * vote before it has caught up, so a majority of the present voters is enough, even for a future voter.
 */
export function checkStrictMemberAdd(facts: MemberFacts, asLearner = false): EtcdError | null {
  const voting = votingMembers(facts.members);
  const started = voting.filter(isStarted).length;
  const total = voting.length + 1;
  const firstGrowth = started === 1 && total === 2;
  if (!asLearner && !firstGrowth && started < majorityOf(total)) return EtcdErrors.notEnoughStarted;
  return connectedCount(facts, voting) < majorityOf(voting.length) ? EtcdErrors.unhealthy : null;
}

/** The strict checks before a member is removed. */
export function checkStrictMemberRemove(facts: MemberFacts, id: MemberId): EtcdError | null {
  const voting = votingMembers(facts.members);
  if (!voting.some((member) => member.id === id)) return null;
  const rest = voting.filter((member) => member.id !== id);
  if (rest.filter(isStarted).length < majorityOf(rest.length)) return EtcdErrors.notEnoughStarted;
  // A member that is down does not count for the active majority: nothing is lost with it.
  if (id !== facts.self && facts.connectedMs(id) === null) return null;
  return connectedCount(facts, voting) - 1 < majorityOf(rest.length) ? EtcdErrors.unhealthy : null;
}

/** True when a member has (nearly) all of the leader's log. */
export function isInSync(facts: Pick<MemberFacts, "progress" | "self">, id: MemberId): boolean {
  const own = facts.progress.find((peer) => peer.member === facts.self)?.matchIndex ?? 0;
  const theirs = facts.progress.find((peer) => peer.member === id);
  return theirs?.active === true && theirs.matchIndex >= own * readyShare;
}

/** The pending voters that are in sync and can be promoted now without an even number of voters. */
export function promotableLearners(
  facts: Pick<MemberFacts, "progress" | "self">,
  votersCount: number,
  waiting: readonly MemberId[],
): MemberId[] {
  const ready = waiting.filter((id) => isInSync(facts, id));
  const odd = (votersCount + ready.length) % 2 === 1;
  return odd ? ready : ready.slice(0, -1);
}

function isStarted(member: Member): boolean {
  return member.name !== "";
}

function connectedCount(facts: MemberFacts, members: readonly Member[]): number {
  return members.filter(({ id }) => id === facts.self || (facts.connectedMs(id) ?? -1) >= healthyMs).length;
}
