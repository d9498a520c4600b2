/**
 * Changes of a formed cluster's membership: those who are down come back first; newcomers join as learners and catch
 * up; one joint change moves the votes from one set to another (Raft dissertation §4.3), after the leader has handed
 * over if it is to go; then who left is forgotten, stopped and destroyed, in this order.
 */
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import { resourceAddress } from "../resource.ts";
import type { MemberRef } from "../step.ts";
import type { MemberFact, World } from "../world.ts";
import { hasAdopted } from "./adoption.ts";
import { certificateSteps, isHandedCertificate, takesUpCertificates } from "./agent-certificates.ts";
import { joinMember, knownJoin } from "./join-member.ts";
import type { KeptMaster, MastersOutlook } from "./masters.ts";

export type MembershipResult = {
  /** Who votes in the end. */
  readonly voters: readonly MemberRef[];
  /** Who leads, as far as it can be foreseen. */
  readonly leader: MemberRef | null;
  /** Masters that this plan starts anyway, and so with their new configuration. */
  readonly started: ReadonlySet<string>;
  /** Backends that the load balancer has after draining those who leave; null when it was not touched. */
  readonly drainedTo: readonly string[] | null;
};

export const refOf = (member: MemberFact): MemberRef => ({ name: member.name, memberId: member.id });

export function planMembership(
  input: PlannerInput,
  desired: readonly DesiredResource[],
  world: World,
  outlook: MastersOutlook,
  certificates: ReadonlyMap<string, string>,
  draft: PlanDraft,
): MembershipResult {
  const started = bringBack(input, world, outlook, certificates, draft);
  for (const learner of outlook.strayLearners) forget(learner, desired, draft);
  if (outlook.joining.length > 0 || outlook.leaving.length > 0) planBackup(input, draft);
  for (const master of outlook.joining) started.add(master.name);
  const leader = world.members.find((member) => member.leader);
  const before: MembershipResult = {
    voters: sorted(world.members.filter((member) => member.voter).map(refOf)),
    leader: leader === undefined ? null : refOf(leader),
    started,
    drainedTo: null,
  };
  const planVotes = input.spec.controlPlane.engine === "etcd" ? planStepwiseVotes : planJointVotes;
  return planVotes({ input, desired, world, outlook, certificates, before, draft });
}

/** What both ways to change votes start from, and the draft that they add to. */
type VoteChange = {
  readonly input: PlannerInput;
  readonly desired: readonly DesiredResource[];
  readonly world: World;
  readonly outlook: MastersOutlook;
  readonly certificates: ReadonlyMap<string, string>;
  readonly before: MembershipResult;
  readonly draft: PlanDraft;
};

function planJointVotes(change: VoteChange): MembershipResult {
  const { input, desired, world, outlook, certificates, before, draft } = change;
  const joins = outlook.joining.map((master) => joinMember(input, desired, world, master, certificates, draft));
  const from = before.voters;
  const to = sorted([...outlook.kept.map((master) => refOf(master.voter)), ...joins.map((join) => join.ref)]);
  const going = [...outlook.leaving, ...replacedBy(outlook)];
  if (joins.length === 0 && going.length === 0) return { ...before, voters: to };

  const drainedTo = drain(input, outlook, draft);
  const leader = handOver(outlook, before.leader, draft);
  const changed = [
    ...outlook.joining.map((master) => resourceAddress("haplan_raft_member", master.name)),
    ...outlook.leaving.map((member) => resourceAddress("haplan_raft_member", member.name)),
  ];
  draft.chain(
    { kind: "changeVoters", manner: "joint", from, to },
    [...new Set(changed)],
    joins.map((join) => join.ready),
  );
  for (const member of going) {
    draft.chain({ kind: "removeMember", member: member.name, memberId: member.id }, leavingAddress(member, outlook));
  }
  for (const member of outlook.leaving) tearDown(member, world, draft);
  if (hasAdopted(input.spec)) draft.chain({ kind: "awaitQuorum", members: to.map((member) => member.name) }, []);
  return { ...before, voters: to, leader, drainedTo };
}

/**
 * A real etcd moves one vote at a time and takes no new member while one is down: so the dead go first, then each
 * newcomer joins as a learner and is promoted, then who leaves goes, the leader last.
 */
function planStepwiseVotes(change: VoteChange): MembershipResult {
  const { input, desired, world, outlook, certificates, before, draft } = change;
  let { voters } = before;
  const remove = (member: MemberFact): void => {
    draft.chain({ kind: "removeMember", member: member.name, memberId: member.id }, leavingAddress(member, outlook));
    voters = voters.filter((voter) => voter.memberId !== member.id);
  };
  const dead = [...replacedBy(outlook), ...outlook.leaving.filter((member) => !member.answers)];
  for (const member of dead) remove(member);
  for (const master of outlook.joining) {
    const join = joinMember(input, desired, world, master, certificates, draft);
    const to = sorted([...voters, join.ref]);
    const address = resourceAddress("haplan_raft_member", master.name);
    draft.chain({ kind: "changeVoters", manner: "direct", from: voters, to }, [address], [join.ready]);
    draft.chain({ kind: "awaitQuorum", members: to.map((member) => member.name) }, []);
    voters = to;
  }
  const drainedTo = outlook.leaving.length > 0 ? drain(input, outlook, draft) : null;
  const leader = handOver(outlook, before.leader, draft);
  for (const member of outlook.leaving) {
    if (!dead.includes(member)) remove(member);
    tearDown(member, world, draft);
  }
  return { ...before, voters, leader, drainedTo };
}

/** Members in whose place others join. */
function replacedBy(outlook: MastersOutlook): readonly MemberFact[] {
  return outlook.joining.flatMap((master) => (master.replaces === null ? [] : [master.replaces]));
}

/** As the policy asks; an adoption takes one anyway, before everything else. */
export function planBackup(input: PlannerInput, draft: PlanDraft): void {
  if (!input.spec.policy.backupBeforeMembershipChange) return;
  if (draft.steps.some((step) => step.action.kind === "takeSnapshot" && step.id === draft.chainEnd)) return;
  draft.chain({ kind: "takeSnapshot", required: true }, []);
}

function sorted(members: readonly MemberRef[]): readonly MemberRef[] {
  return [...members].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Members that are down with their data in place are started where they are; a voter is never destroyed for being down. */
function bringBack(
  input: PlannerInput,
  world: World,
  outlook: MastersOutlook,
  certificates: ReadonlyMap<string, string>,
  draft: PlanDraft,
): Set<string> {
  const started = new Set<string>();
  const waited: string[] = [];
  const ids: string[] = [];
  for (const { name, condition } of outlook.kept) {
    if (condition === "waiting") waited.push(name);
    const address = resourceAddress("haplan_agent", name);
    // It may be its certificate for which it waits: it gets the new one before it is waited for.
    if (condition === "waiting" && isHandedCertificate(name, certificates) && takesUpCertificates(input.spec, draft)) {
      draft.judge(address, "update", "its certificate is issued anew");
      const action = { kind: "reloadAgent", member: name, join: knownJoin(input, world, name) } as const;
      ids.push(draft.add(action, [address], certificateSteps(name, certificates)));
      started.add(name);
      continue;
    }
    if (condition !== "stopped" && condition !== "silent") continue;
    draft.judge(
      address,
      "update",
      condition === "stopped" ? "dead: its process is gone" : "its process does not answer",
    );
    const join = knownJoin(input, world, name);
    ids.push(draft.add({ kind: "restartAgent", member: name, join }, [address], certificateSteps(name, certificates)));
    started.add(name);
    waited.push(name);
  }
  if (waited.length > 0 && (ids.length > 0 || !world.hasLeader)) {
    draft.chain({ kind: "awaitQuorum", members: waited.sort() }, [], ids);
  }
  return started;
}

/** Clients are led away from masters that will go before they go. */
function drain(input: PlannerInput, outlook: MastersOutlook, draft: PlanDraft): readonly string[] | null {
  const masters = new Set(input.spec.controlPlane.masters.map((master) => master.name));
  const gone = new Set(outlook.leaving.map((member) => member.name));
  const served = input.observed.backends.map((backend) => backend.name);
  const staying = served.filter((name) => masters.has(name) && !gone.has(name)).sort();
  if (staying.length === 0 || !served.some((name) => gone.has(name))) return null;
  draft.judge(resourceAddress("haplan_load_balancer", loadBalancerName), "update", "masters leave");
  draft.chain({ kind: "updateLoadBalancer", backends: staying }, [
    resourceAddress("haplan_load_balancer", loadBalancerName),
    ...served.filter((name) => gone.has(name)).map((name) => resourceAddress("haplan_lb_backend", name)),
  ]);
  return staying;
}

/** The leader hands over before it goes, if a voter that stays can take over. */
function handOver(outlook: MastersOutlook, leader: MemberRef | null, draft: PlanDraft): MemberRef | null {
  if (leader === null || !outlook.leaving.some((member) => member.id === leader.memberId)) return leader;
  const successor = bestSuccessor(outlook.kept);
  if (successor === null) return null;
  draft.chain({ kind: "moveLeader", from: leader, to: refOf(successor.voter) }, []);
  return refOf(successor.voter);
}

export function bestSuccessor(kept: readonly KeptMaster[]): KeptMaster | null {
  return kept.find((master) => master.condition === "healthy") ?? null;
}

/** A replaced master's address lives on with its successor. */
function leavingAddress(member: MemberFact, outlook: MastersOutlook): readonly ReturnType<typeof resourceAddress>[] {
  return outlook.joining.some((master) => master.name === member.name)
    ? []
    : [resourceAddress("haplan_raft_member", member.name)];
}

/** The one that was replaced may still be there, under the name that its successor has now. */
function forget(learner: MemberFact, desired: readonly DesiredResource[], draft: PlanDraft): void {
  const name = learner.name || learner.id;
  const address = resourceAddress("haplan_raft_member", name);
  const replaced = desired.some((resource) => resource.address === address);
  if (!replaced) draft.judge(address, "delete", "it is a learner that no master of the spec needs");
  draft.chain({ kind: "removeMember", member: name, memberId: learner.id }, replaced ? [] : [address]);
}

function tearDown(member: MemberFact, world: World, draft: PlanDraft): void {
  const agent = resourceAddress("haplan_agent", member.name);
  draft.judge(resourceAddress("haplan_raft_member", member.name), "delete", "it is not in the spec");
  if (!world.machines.has(member.name)) return;
  draft.judge(agent, "delete", "it is not in the spec");
  const stopped = draft.chain({ kind: "stopAgent", member: member.name }, [agent]);
  const machine = resourceAddress("haplan_machine", member.name);
  draft.judge(machine, "delete", "it is not in the spec");
  draft.add({ kind: "destroyMachine", machine: member.name }, [machine], [stopped]);
}
