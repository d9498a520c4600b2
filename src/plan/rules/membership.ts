/**
 * Changes of a formed cluster's membership: those who are down come back first; newcomers join as learners and catch
 * up; one joint change moves the votes from one set to another (Raft dissertation §4.3), after the leader has handed
 * over if it is to go; then who left is forgotten, stopped and destroyed, in this order.
 */

import { notInSpec } from "../change-reason.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import { isDeposed, type ResourceAddress, resourceAddress } from "../resource.ts";
import type { MemberRef, StepAction } from "../step.ts";
import { type MemberFact, machineOf, type World } from "../world.ts";
import { hasAdopted } from "./adoption.ts";
import { certificateSteps, isHandedCertificate, takesUpCertificates } from "./agent-certificates.ts";
import type { Endpoint } from "./endpoint.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import { type Join, joinMember, knownJoin } from "./join-member.ts";
import { type JoiningMaster, type KeptMaster, type MastersOutlook, movesPeerUrl } from "./masters.ts";
import { formerMachine, formerMember, tearDownGeneration } from "./newcomer-machine.ts";

export type MembershipResult = {
  /** Who votes in the end. */
  readonly voters: readonly MemberRef[];
  /** Who leads, as far as it can be foreseen. */
  readonly leader: MemberRef | null;
  /** Masters that need nothing more: this plan starts them anyway, and so with their new configuration. */
  readonly started: ReadonlySet<string>;
};

export const refOf = (member: MemberFact): MemberRef => ({ name: member.name, memberId: member.id });

export function planMembership(
  input: PlannerInput,
  desired: readonly DesiredResource[],
  world: World,
  outlook: MastersOutlook,
  certificates: IssuedCertificates,
  cleared: ReadonlySet<string>,
  endpoint: Endpoint,
  draft: PlanDraft,
): MembershipResult {
  const started = bringBack(input, desired, world, outlook, certificates, cleared, draft);
  for (const learner of outlook.strayLearners) {
    const ownMachine = !world.spares.some((spare) => spare === machineOf(world, learner));
    const leaves = forget(learner, desired, world, draft) && ownMachine;
    if (leaves && !cleared.has(learner.name)) stopAndDestroy(learner.name, world, draft);
  }
  if (outlook.joining.length > 0 || outlook.leaving.length > 0) planBackup(input, draft);
  for (const master of outlook.joining) started.add(master.name);
  const leader = world.members.find((member) => member.leader);
  const before: MembershipResult = {
    voters: sortedByName(world.members.filter((member) => member.voter).map(refOf)),
    leader: leader === undefined ? null : refOf(leader),
    started,
  };
  const planVotes = input.spec.controlPlane.engine === "etcd" ? planStepwiseVotes : planJointVotes;
  return planVotes({ input, desired, world, outlook, certificates, before, endpoint, draft });
}

/** What both ways to change votes start from, and the draft that they add to. */
type VoteChange = {
  readonly input: PlannerInput;
  readonly desired: readonly DesiredResource[];
  readonly world: World;
  readonly outlook: MastersOutlook;
  readonly certificates: IssuedCertificates;
  readonly before: MembershipResult;
  readonly endpoint: Endpoint;
  readonly draft: PlanDraft;
};

function planJointVotes(change: VoteChange): MembershipResult {
  const { input, desired, world, outlook, certificates, before, draft } = change;
  const joins = outlook.joining.map((master) => joinMember(input, desired, world, master, certificates, draft));
  const from = before.voters;
  const to = sortedByName([...outlook.kept.map((master) => refOf(master.voter)), ...joins.map((join) => join.ref)]);
  const going = [...outlook.leaving, ...replacedBy(outlook)];
  if (joins.length === 0 && going.length === 0) return { ...before, voters: to };

  const leader = moveVotes(change, joins, from, to);
  for (const member of going) {
    draft.chain({ kind: "removeMember", member: member.name, memberId: member.id }, leavingAddress(member, change));
  }
  for (const member of outlook.leaving) tearDown(member, world, draft);
  for (const master of outlook.joining) tearDownReplaced(master, change);
  if (hasAdopted(input.spec)) draft.chain({ kind: "awaitQuorum", members: to.map((member) => member.name) }, []);
  return { ...before, voters: to, leader };
}

/** Tells the members where this one will listen for them; null where they know. */
export function memberUpdate(
  desired: readonly DesiredResource[],
  voter: MemberFact,
): Extract<StepAction, { readonly kind: "updateMember" }> | null {
  const { id, name } = voter;
  const address = resourceAddress("haplan_raft_member", name);
  const resource = desired.find((candidate) => candidate.address === address);
  if (resource === undefined || id === "" || !movesPeerUrl(resource, voter)) return null;
  return { kind: "updateMember", member: name, memberId: id, peerUrl: String(resource.attributes["peerUrl"]) };
}

/** Clients are led away from members before these lose their votes, and to newcomers that have theirs. Returns who leads. */
function moveVotes(
  { outlook, before, endpoint, draft }: VoteChange,
  joins: readonly Join[],
  from: readonly MemberRef[],
  to: readonly MemberRef[],
): MemberRef | null {
  const last = lastToServe(outlook, before.leader, endpoint);
  endpoint.withdraw(outlook.leaving.filter((member) => member !== last).map(({ name }) => name));
  let leader = handOver(outlook, last, before.leader, draft);
  const vote = (start: readonly MemberRef[], end: readonly MemberRef[]): void => {
    const ready = joins.filter(({ ref }) => end.includes(ref)).map((join) => join.ready);
    draft.chain({ kind: "changeVoters", manner: "joint", from: start, to: end }, votersChanged(outlook), ready);
    for (const { ref } of joins) if (end.includes(ref)) endpoint.offer(ref.name);
  };
  let start = from;
  if (last !== null) {
    const [first] = joins;
    start = sortedByName([...to.filter((ref) => ref !== joins.at(-1)?.ref), refOf(last)]);
    vote(from, start);
    endpoint.withdraw([last.name]);
    if (leader?.memberId === last.id && first !== undefined) {
      draft.chain({ kind: "moveLeader", from: leader, to: first.ref }, []);
      leader = first.ref;
    }
  }
  vote(start, to);
  endpoint.flush();
  return leader;
}

/**
 * A real etcd moves one vote at a time and takes no new member while one is down: so the dead go first, then each
 * newcomer joins as a learner and is promoted, then who leaves goes, the leader last.
 */
function planStepwiseVotes(change: VoteChange): MembershipResult {
  const { input, desired, world, outlook, certificates, before, endpoint, draft } = change;
  let { voters } = before;
  const remove = (member: MemberFact): void => {
    draft.chain({ kind: "removeMember", member: member.name, memberId: member.id }, leavingAddress(member, change));
    voters = voters.filter((voter) => voter.memberId !== member.id);
  };
  const dead = [...replacedBy(outlook), ...outlook.leaving.filter((member) => !member.answers)];
  for (const member of dead) remove(member);
  for (const master of outlook.joining) {
    const join = joinMember(input, desired, world, master, certificates, draft);
    const to = sortedByName([...voters, join.ref]);
    const address = resourceAddress("haplan_raft_member", master.name);
    draft.chain({ kind: "changeVoters", manner: "direct", from: voters, to }, [address], [join.ready]);
    draft.chain({ kind: "awaitQuorum", members: to.map((member) => member.name) }, []);
    voters = to;
    endpoint.offer(master.name);
    tearDownReplaced(master, change);
  }
  endpoint.withdraw(outlook.leaving.map(({ name }) => name));
  const leader = handOver(outlook, null, before.leader, draft);
  for (const member of outlook.leaving) {
    if (!dead.includes(member)) remove(member);
    tearDown(member, world, draft);
  }
  return { ...before, voters, leader };
}

function votersChanged(outlook: MastersOutlook): readonly ResourceAddress[] {
  const names = [...outlook.joining, ...outlook.leaving].map(({ name }) => name);
  return [...new Set(names.map((name) => resourceAddress("haplan_raft_member", name)))];
}

/**
 * Where no master stays that clients reach, one of those that leave goes on voting, and serving, until others have their
 * votes: a member that does not vote serves no writes. Null where it takes no such care.
 */
function lastToServe(outlook: MastersOutlook, leader: MemberRef | null, endpoint: Endpoint): MemberFact | null {
  const stays = outlook.kept.some(({ voter, condition }) => condition === "healthy" && endpoint.serves(voter.name));
  // Alone it would be the very vote that the only newcomer is to have.
  if (stays || outlook.joining.length < 2) return null;
  const serving = outlook.leaving.filter(({ name, healthy }) => healthy && endpoint.serves(name));
  return serving.find((member) => member.id === leader?.memberId) ?? serving[0] ?? null;
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

export function sortedByName(members: readonly MemberRef[]): readonly MemberRef[] {
  return [...members].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** Members that are down with their data in place are started where they are; a voter is never destroyed for being down. */
function bringBack(
  input: PlannerInput,
  desired: readonly DesiredResource[],
  world: World,
  outlook: MastersOutlook,
  certificates: IssuedCertificates,
  cleared: ReadonlySet<string>,
  draft: PlanDraft,
): Set<string> {
  // Its own place may have been one of those.
  const vacated = cleared.size > 0 ? draft.chainEnd : null;
  const started = new Set<string>();
  const waited: string[] = [];
  const ids: (string | null)[] = [];
  for (const { name, voter, condition } of outlook.kept) {
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
    const update = memberUpdate(desired, voter);
    const told = update === null ? null : draft.chain(update, []);
    const waits = [vacated, told, ...certificateSteps(name, certificates)];
    ids.push(draft.add({ kind: "restartAgent", member: name, join }, [address], waits));
    started.add(name);
    waited.push(name);
  }
  if (waited.length > 0 && (ids.length > 0 || !world.hasLeader)) {
    draft.chain({ kind: "awaitQuorum", members: waited.sort() }, [], ids);
  }
  return started;
}

/** The leader hands over before it goes, if a voter that stays can take over. */
function handOver(
  outlook: MastersOutlook,
  last: MemberFact | null,
  leader: MemberRef | null,
  draft: PlanDraft,
): MemberRef | null {
  const leaves = outlook.leaving.some((member) => member.id === leader?.memberId);
  if (leader === null || !leaves || leader.memberId === last?.id) return leader;
  const successor = bestSuccessor(outlook.kept)?.voter ?? last;
  if (successor === null) return null;
  draft.chain({ kind: "moveLeader", from: leader, to: refOf(successor) }, []);
  return refOf(successor);
}

export function bestSuccessor(kept: readonly KeptMaster[]): KeptMaster | null {
  return kept.find((master) => master.condition === "healthy") ?? null;
}

/** A replaced master's address lives on with its successor. */
function leavingAddress(member: MemberFact, { input, world, outlook }: VoteChange): readonly ResourceAddress[] {
  const successor = outlook.joining.find((master) => master.name === member.name);
  const former = successor === undefined ? null : formerMachine(input, world, successor);
  if (former !== null) return [formerMember(former)];
  if (successor !== undefined || outlook.kept.some(({ name }) => name === member.name)) return deposedOf(member, world);
  return [resourceAddress("haplan_raft_member", member.name)];
}

/** What the state has of a member whose name another one has now. */
function deposedOf({ id }: MemberFact, world: World): readonly ResourceAddress[] {
  return [...world.resources.values()]
    .filter(
      ({ type, address, attributes }) =>
        type === "haplan_raft_member" && isDeposed(address) && attributes["memberId"] === id,
    )
    .map(({ address }) => address);
}

/** The machine of a voter that another one of its name has replaced elsewhere. */
function tearDownReplaced(master: JoiningMaster, { input, world, draft }: VoteChange): void {
  const former = formerMachine(input, world, master);
  if (former !== null) tearDownGeneration(former, world, draft);
}

/**
 * The one that was replaced may still be there, under the name that its successor has now. Returns whether the machine
 * of that name is its own.
 */
function forget(learner: MemberFact, desired: readonly DesiredResource[], world: World, draft: PlanDraft): boolean {
  const name = learner.name || learner.id;
  const address = resourceAddress("haplan_raft_member", name);
  const replaced = desired.some((resource) => resource.address === address);
  const deposed = deposedOf(learner, world);
  for (const each of deposed) draft.judge(each, "delete", "another generation has its place");
  if (!replaced) draft.judge(address, "delete", "it is a learner that no master of the spec needs");
  draft.chain({ kind: "removeMember", member: name, memberId: learner.id }, replaced ? deposed : [address, ...deposed]);
  return !replaced && learner.name !== "";
}

function tearDown(member: MemberFact, world: World, draft: PlanDraft): void {
  const spare = world.spares.find((machine) => machine === machineOf(world, member));
  if (spare !== undefined) {
    tearDownGeneration(spare, world, draft);
    return;
  }
  draft.judge(resourceAddress("haplan_raft_member", member.name), "delete", notInSpec);
  stopAndDestroy(member.name, world, draft);
}

function stopAndDestroy(name: string, world: World, draft: PlanDraft): void {
  if (!world.machines.has(name)) return;
  const agent = resourceAddress("haplan_agent", name);
  draft.judge(agent, "delete", notInSpec);
  const stopped = draft.chain({ kind: "stopAgent", member: name }, [agent]);
  const machine = resourceAddress("haplan_machine", name);
  draft.judge(machine, "delete", notInSpec);
  draft.add({ kind: "destroyMachine", machine: name }, [machine], [stopped]);
}
