/**
 * Moves a master to another address: the new member joins there and catches up while the old one votes and serves, one
 * joint change moves the vote, and then the old member is removed and its machine destroyed. The failure tolerance
 * never drops, save while a real etcd stops before it is removed.
 */

import { resourceAddress } from "../resource.ts";
import type { MemberRef } from "../step.ts";
import { certificateSteps } from "./agent-certificates.ts";
import { awaitCaughtUp } from "./agent-start.ts";
import { isStuck, runsAsStarted } from "./join-member.ts";
import { type KeptMaster, whyRebuild } from "./masters.ts";
import { planBackup, sortedByName } from "./membership.ts";
import {
  destroyGeneration,
  formerMachine,
  formerMember,
  prepareMachine,
  stopGeneration,
} from "./new-member-machine.ts";
import type { WithCertificates } from "./stages.ts";
import { stopsBeforeRemoval } from "./stop-before-removal.ts";

/** `beforeVote` adds steps that are needed before the old member loses its vote. Returns the voters afterwards. */
export function moveMember(
  planning: WithCertificates,
  { name, voter, learner }: KeptMaster,
  voters: readonly MemberRef[],
  beforeVote: () => void,
): readonly MemberRef[] {
  const { desired, view, certificates, builder } = planning;
  const member = resourceAddress("haplan_raft_member", name);
  const agent = resourceAddress("haplan_agent", name);
  const resource = desired.find((candidate) => candidate.address === member)!;
  const reason = whyRebuild(planning, resource, voter);
  const newMember = { name, replaces: voter, learner, reason };
  const former = formerMachine(planning, newMember)!;
  planBackup(planning);
  for (const address of [agent, member]) builder.setAction(address, "createThenDelete", reason, ["address"]);
  const made = prepareMachine(planning, newMember, [builder.lastSerialStep]);
  if (learner === null) {
    builder.chain(
      { kind: "addLearner", member: name, peerUrl: String(resource.attributes["peerUrl"]) },
      [member],
      [made],
    );
  }
  if (!runsAsStarted(planning, newMember)) {
    const start = isStuck(view, learner) ? "restartAgent" : "startAgent";
    builder.chain({ kind: start, member: name, join: null }, [agent], [made, ...certificateSteps(name, certificates)]);
  }
  const memberId = learner?.id ?? null;
  builder.chain(awaitCaughtUp(planning, name, memberId), [member]);
  beforeVote();
  const to = sortedByName([...voters.filter((each) => each.memberId !== voter.id), { name, memberId }]);
  if (planning.spec.controlPlane.engine === "etcd") {
    const both = sortedByName([...voters, { name, memberId }]);
    builder.chain({ kind: "changeVoters", manner: "direct", from: voters, to: both }, [member]);
  } else {
    builder.chain({ kind: "changeVoters", manner: "joint", from: voters, to }, [member, formerMember(former)]);
  }
  const stopsFirst = stopsBeforeRemoval(planning, voter);
  if (stopsFirst) stopGeneration(planning, former, voter);
  builder.chain({ kind: "removeMember", member: name, memberId: voter.id }, [formerMember(former)]);
  if (!stopsFirst) stopGeneration(planning, former);
  destroyGeneration(planning, former);
  return to;
}
