/**
 * The membership as reported by the members. They may disagree temporarily: the leader's view wins, or without one that
 * of the member with the longest log.
 */

import type { ListedMember } from "../etcd-client/cluster-client.ts";
import type { ObservedMember, ObservedMembership } from "../plan/observed-cluster.ts";
import type { ProbeResult } from "./member-probe.ts";

/** Pure: answers in, membership out; null if no answer lists the members. */
export function membershipFrom(answers: readonly ProbeResult[]): ObservedMembership | null {
  const witness = mostRecentView(answers);
  if (witness === null) return null;
  const leader = agreedLeader(answers);
  const heard = new Set(answers.filter(isLeader).flatMap(({ configuration }) => configuration?.heard ?? []));
  const answerOf = new Map(answers.map((answer) => [answer.status.memberId, answer]));
  return {
    clusterId: witness.listing.clusterId,
    members: witness.listing.members.map((member) => ({
      ...observed(member, answerOf.get(member.id), leader),
      ...(heard.has(member.id) && !answerOf.has(member.id) ? { heardByLeader: true } : {}),
    })),
    votersOutgoing: witness.configuration?.votersOutgoing ?? [],
    configurationIndex: witness.configuration?.index ?? null,
    hasLeader: leader !== null,
    revision: Math.max(...answers.map(({ status }) => status.revision)),
    engine: witness.configuration === null ? "etcd" : "agent",
    foreignEndpoints: answers
      .filter(({ listing }) => listing.clusterId !== "" && listing.clusterId !== witness.listing.clusterId)
      .map(({ endpoint, listing }) => ({ endpoint, clusterId: listing.clusterId })),
  };
}

function mostRecentView(answers: readonly ProbeResult[]): ProbeResult | null {
  const listing = answers.filter((answer) => answer.listing.members.length > 0);
  const rank = (answer: ProbeResult): number => (isLeader(answer) ? Infinity : answer.status.raftAppliedIndex);
  return listing.sort((a, b) => rank(b) - rank(a) || b.status.raftTerm - a.status.raftTerm)[0] ?? null;
}

/** A leader counts if the member itself says so, or if one that answers linearizable reads follows it. */
function agreedLeader(answers: readonly ProbeResult[]): string | null {
  const byTerm = [...answers].sort((a, b) => b.status.raftTerm - a.status.raftTerm);
  const witness = byTerm.find(isLeader) ?? byTerm.find((answer) => answer.linearizableRead);
  return witness?.status.leader ?? null;
}

/**
 * A member that has just answered a linearizable read has everything that was acknowledged before. Of those, the follower
 * that is least behind; the leader only if it is alone. Null if none can.
 */
export function cheapestForSnapshot(answers: readonly ProbeResult[]): ProbeResult | null {
  const able = answers.filter((answer) => answer.linearizableRead);
  const followers = able.filter((answer) => !isLeader(answer));
  followers.sort((a, b) => b.status.raftAppliedIndex - a.status.raftAppliedIndex);
  return followers[0] ?? able[0] ?? null;
}

export function isLeader(answer: ProbeResult): boolean {
  return answer.status.leader === answer.status.memberId;
}

function observed(member: ListedMember, answer: ProbeResult | undefined, leader: string | null): ObservedMember {
  const reads = answer?.serializableRead === true && (member.learner || answer.linearizableRead);
  return {
    id: member.id,
    name: member.name,
    peerUrls: member.peerUrls,
    clientUrls: member.clientUrls,
    learner: member.learner,
    healthy: reads,
    leader: member.id === leader && answer !== undefined,
    raftIndex: answer?.status.raftIndex ?? null,
    raftTerm: answer?.status.raftTerm ?? null,
    dbSizeBytes: answer?.status.dbSizeBytes ?? null,
    ...(answer === undefined
      ? {}
      : { answeredAt: answer.endpoint, version: answer.status.version, alarms: alarmsOf(answer) }),
    ...(answer?.readLatencyMs == null ? {} : { readLatencyMs: answer.readLatencyMs }),
  };
}

/** A missing leader is reported elsewhere. */
function alarmsOf(answer: ProbeResult): readonly string[] {
  return answer.status.errors.map((error) => error.trim()).filter((error) => !error.includes("no leader"));
}
