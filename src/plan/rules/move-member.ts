/**
 * A master in another place: the new member joins there and catches up while the old one votes and serves, one joint
 * change moves the vote, and then the old member is forgotten and its machine goes. Tolerance stays what it is.
 */
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import { resourceAddress } from "../resource.ts";
import type { MemberRef } from "../step.ts";
import type { World } from "../world.ts";
import { certificateSteps } from "./agent-certificates.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import { isStuck, runsAsStarted } from "./join-member.ts";
import { type KeptMaster, whyRebuild } from "./masters.ts";
import { planBackup, sortedByName } from "./membership.ts";
import { formerMachine, formerMember, prepareMachine, tearDownGeneration } from "./newcomer-machine.ts";

/** `beforeVote` adds what has to be done before the old member loses its vote. Returns who votes afterwards. */
export function moveMember(
  input: PlannerInput,
  desired: readonly DesiredResource[],
  world: World,
  { name, voter, learner }: KeptMaster,
  voters: readonly MemberRef[],
  certificates: IssuedCertificates,
  beforeVote: () => void,
  draft: PlanDraft,
): readonly MemberRef[] {
  const member = resourceAddress("haplan_raft_member", name);
  const agent = resourceAddress("haplan_agent", name);
  const resource = desired.find((candidate) => candidate.address === member)!;
  const reason = whyRebuild(input, resource, voter, world);
  const newcomer = { name, replaces: voter, learner, reason };
  const former = formerMachine(input, world, newcomer)!;
  planBackup(input, draft);
  for (const address of [agent, member]) draft.judge(address, "createThenDelete", reason, ["address"]);
  const made = prepareMachine(input, desired, world, newcomer, [draft.chainEnd], draft);
  if (learner === null) {
    draft.chain(
      { kind: "addLearner", member: name, peerUrl: String(resource.attributes["peerUrl"]) },
      [member],
      [made],
    );
  }
  if (!runsAsStarted(input, desired, world, newcomer, certificates)) {
    const start = isStuck(world, learner) ? "restartAgent" : "startAgent";
    draft.chain({ kind: start, member: name, join: null }, [agent], [made, ...certificateSteps(name, certificates)]);
  }
  const { maxLearnerLagEntries: maxLagEntries } = input.spec.policy;
  const memberId = learner?.id ?? null;
  draft.chain({ kind: "awaitCatchUp", member: name, memberId, maxLagEntries }, [member]);
  beforeVote();
  const to = sortedByName([...voters.filter((each) => each.memberId !== voter.id), { name, memberId }]);
  if (input.spec.controlPlane.engine === "etcd") {
    const both = sortedByName([...voters, { name, memberId }]);
    draft.chain({ kind: "changeVoters", manner: "direct", from: voters, to: both }, [member]);
  } else {
    draft.chain({ kind: "changeVoters", manner: "joint", from: voters, to }, [member, formerMember(former)]);
  }
  draft.chain({ kind: "removeMember", member: name, memberId: voter.id }, [formerMember(former)]);
  tearDownGeneration(former, world, draft);
  return to;
}
