/**
 * Membership changes of a formed cluster: members that are down come back first; new members join as learners and catch
 * up; one joint change moves the votes from one set to another (Raft dissertation §4.3), after a leadership transfer if
 * the leader is to leave; then the former members are removed, stopped and destroyed, in this order.
 */

import { agentUnitName } from "../../units/unit-definition.ts";
import { newCertificate, notInSpec } from "../change-reason.ts";
import { type ClusterView, hasName, type MemberView, machineOf, unitOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { isDeposed, type ResourceAddress, resourceAddress } from "../resource.ts";
import type { MemberRef, StepAction } from "../step.ts";
import { hasAdopted } from "./adoption/adoption.ts";
import { certificateSteps, isHandedCertificate, takesUpCertificates } from "./agent-certificates.ts";
import { agentStart, awaitStarted } from "./agent-start.ts";
import { type Join, joinMember } from "./join-member.ts";
import { type JoiningMaster, type KeptMaster, type MasterChanges, movesPeerUrl } from "./masters.ts";
import {
  destroyGeneration,
  formerMachine,
  formerMember,
  stopGeneration,
  tearDownGeneration,
} from "./new-member-machine.ts";
import type { WithMasters } from "./stages.ts";
import { stopsBeforeRemoval } from "./stop-before-removal.ts";
import { processGoneReason, processSilentReason } from "./unit-condition.ts";

export type MembershipResult = {
  /** The final voters. */
  readonly voters: readonly MemberRef[];
  /** The leader, as far as it can be predicted. */
  readonly leader: MemberRef | null;
  /** Masters that this plan starts anyway, and so with their new configuration. */
  readonly started: ReadonlySet<string>;
};

export const refOf = (member: MemberView): MemberRef => ({ name: member.name, memberId: member.id });

export function planMembership(planning: WithMasters & { readonly cleared: ReadonlySet<string> }): MembershipResult {
  const { view, masterChanges, cleared } = planning;
  const started = bringBack(planning);
  for (const learner of masterChanges.orphanedLearners) {
    const ownMachine = !view.spares.some((spare) => spare === machineOf(view, learner));
    const leaves = forget(planning, learner) && ownMachine;
    if (!leaves || cleared.has(learner.name)) continue;
    stopMachine(planning, learner.name);
    destroyMachine(planning, learner.name);
  }
  if (masterChanges.joining.length > 0 || masterChanges.leaving.length > 0) planBackup(planning);
  for (const master of masterChanges.joining) started.add(master.name);
  const leader = view.members.find((member) => member.leader);
  const before: MembershipResult = {
    voters: sortedByName(view.members.filter((member) => member.voter).map(refOf)),
    leader: leader === undefined ? null : refOf(leader),
    started,
  };
  const planVotes = planning.spec.controlPlane.engine === "etcd" ? planStepwiseVotes : planJointVotes;
  return planVotes({ ...planning, before });
}

/** The common input of both ways to change votes. */
type VoteChange = WithMasters & { readonly before: MembershipResult };

function planJointVotes(change: VoteChange): MembershipResult {
  const { spec, masterChanges, before, builder } = change;
  const joins = masterChanges.joining.map((master) => joinMember(change, master));
  const from = before.voters;
  const to = sortedByName([
    ...masterChanges.kept.map((master) => refOf(master.voter)),
    ...joins.map((join) => join.ref),
  ]);
  const going = [...masterChanges.leaving, ...replacedBy(masterChanges)];
  if (joins.length === 0 && going.length === 0) return { ...before, voters: to };

  const leader = moveVotes(change, joins, from, to);
  for (const member of going) {
    builder.chain({ kind: "removeMember", member: member.name, memberId: member.id }, leavingAddress(change, member));
  }
  for (const member of masterChanges.leaving) {
    stop(change, member);
    destroy(change, member);
  }
  for (const master of masterChanges.joining) tearDownReplaced(change, master);
  if (hasAdopted(spec)) builder.chain({ kind: "awaitQuorum", members: to.map((member) => member.name) }, []);
  return { ...before, voters: to, leader };
}

/** Updates the members' peer URL of this one; null if they have it. */
export function memberUpdate(
  desired: readonly DesiredResource[],
  voter: MemberView,
): Extract<StepAction, { readonly kind: "updateMember" }> | null {
  const { id, name } = voter;
  const address = resourceAddress("haplan_raft_member", name);
  const resource = desired.find((candidate) => candidate.address === address);
  if (resource === undefined || id === "" || !movesPeerUrl(resource, voter)) return null;
  return { kind: "updateMember", member: name, memberId: id, peerUrl: String(resource.attributes["peerUrl"]) };
}

/** Removes targets before their members lose their votes, and adds new members that have theirs. Returns the leader. */
function moveVotes(
  change: VoteChange,
  joins: readonly Join[],
  from: readonly MemberRef[],
  to: readonly MemberRef[],
): MemberRef | null {
  const { masterChanges, before, endpoint, builder } = change;
  const last = lastToServe(change, before.leader);
  endpoint.withdraw(masterChanges.leaving.filter((member) => member !== last).map(({ name }) => name));
  let leader = handOver(change, last, before.leader);
  const vote = (start: readonly MemberRef[], end: readonly MemberRef[]): void => {
    const ready = joins.filter(({ ref }) => end.includes(ref)).map((join) => join.ready);
    builder.chain({ kind: "changeVoters", manner: "joint", from: start, to: end }, votersChanged(masterChanges), ready);
    for (const { ref } of joins) if (end.includes(ref)) endpoint.offer(ref.name);
  };
  let start = from;
  if (last !== null) {
    const [first] = joins;
    start = sortedByName([...to.filter((ref) => ref !== joins.at(-1)?.ref), refOf(last)]);
    vote(from, start);
    endpoint.withdraw([last.name]);
    if (leader?.memberId === last.id && first !== undefined) {
      builder.chain({ kind: "moveLeader", from: leader, to: first.ref }, []);
      leader = first.ref;
    }
  }
  vote(start, to);
  endpoint.flush();
  return leader;
}

/**
 * A real etcd moves one vote at a time and accepts no new member while one is down: so dead members are removed first,
 * then each new member joins as a learner and is promoted, then the leaving members are removed, the leader last.
 */
function planStepwiseVotes(change: VoteChange): MembershipResult {
  const { masterChanges, before, endpoint, builder } = change;
  let { voters } = before;
  const remove = (member: MemberView): void => {
    builder.chain({ kind: "removeMember", member: member.name, memberId: member.id }, leavingAddress(change, member));
    voters = voters.filter((voter) => voter.memberId !== member.id);
  };
  // A learner serves no client, and a load balancer that checks only whether etcd answers would send it some: also where its
  // former member was removed by others, and left the target behind.
  endpoint.withdraw(masterChanges.joining.map(({ name }) => name));
  const dead = [...replacedBy(masterChanges), ...masterChanges.leaving.filter((member) => !member.answers)];
  for (const member of dead) remove(member);
  for (const master of masterChanges.joining) {
    const join = joinMember(change, master);
    const to = sortedByName([...voters, join.ref]);
    const address = resourceAddress("haplan_raft_member", master.name);
    builder.chain({ kind: "changeVoters", manner: "direct", from: voters, to }, [address], [join.ready]);
    builder.chain({ kind: "awaitQuorum", members: to.map((member) => member.name) }, []);
    voters = to;
    endpoint.offer(master.name);
    tearDownReplaced(change, master);
  }
  endpoint.withdraw(masterChanges.leaving.map(({ name }) => name));
  const leader = handOver(change, null, before.leader);
  for (const member of masterChanges.leaving) {
    const stopsFirst = stopsBeforeRemoval(change, member);
    if (stopsFirst) stop(change, member, member);
    if (!dead.includes(member)) remove(member);
    if (!stopsFirst) stop(change, member);
    destroy(change, member);
  }
  return { ...before, voters, leader };
}

function votersChanged(masterChanges: MasterChanges): readonly ResourceAddress[] {
  const names = [...masterChanges.joining, ...masterChanges.leaving].map(({ name }) => name);
  return [...new Set(names.map((name) => resourceAddress("haplan_raft_member", name)))];
}

/**
 * If no staying master serves clients, one of the leaving members keeps its vote, and serves, until others have theirs:
 * a member that does not vote serves no writes. Null if none needs to.
 */
function lastToServe({ masterChanges, endpoint }: WithMasters, leader: MemberRef | null): MemberView | null {
  const stays = masterChanges.kept.some(
    ({ voter, condition }) => condition === "healthy" && endpoint.serves(voter.name),
  );
  // Alone it would be the very vote that the only new member is to have.
  if (stays || masterChanges.joining.length < 2) return null;
  const serving = masterChanges.leaving.filter(({ name, healthy }) => healthy && endpoint.serves(name));
  return serving.find((member) => member.id === leader?.memberId) ?? serving[0] ?? null;
}

/** Members that others replace. */
function replacedBy(masterChanges: MasterChanges): readonly MemberView[] {
  return masterChanges.joining.flatMap((master) => (master.replaces === null ? [] : [master.replaces]));
}

/** As the policy requires; an adoption takes one anyway, before everything else. */
export function planBackup(planning: Planning): void {
  const { builder } = planning;
  if (!planning.spec.policy.backupBeforeMembershipChange) return;
  if (builder.steps.some((step) => step.action.kind === "takeSnapshot" && step.id === builder.lastSerialStep)) return;
  builder.chain({ kind: "takeSnapshot", required: true }, []);
}

export function sortedByName(members: readonly MemberRef[]): readonly MemberRef[] {
  return [...members].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/**
 * Members that are down with their data intact are started in place; a voter is never destroyed because it is down. Those without a
 * process are started at once. Those whose process hangs may answer again at any time, and several of them may be the quorum: they
 * are restarted one after the other.
 */
function bringBack(planning: WithMasters & { readonly cleared: ReadonlySet<string> }): Set<string> {
  const { desired, view, masterChanges, certificates, cleared, builder } = planning;
  // Its own address may have been one of those.
  const vacated = cleared.size > 0 ? builder.lastSerialStep : null;
  const started = new Set<string>();
  const waited: string[] = [];
  const ids: (string | null)[] = [];
  const isHung = ({ condition }: KeptMaster): boolean => condition === "unresponsive";
  for (const master of masterChanges.kept.toSorted((a, b) => Number(isHung(a)) - Number(isHung(b)))) {
    const { name, voter, condition } = master;
    if (condition === "degraded") waited.push(name);
    const address = resourceAddress("haplan_agent", name);
    // It may be waiting for its certificate: it gets the new one before it is waited for.
    if (
      condition === "degraded" &&
      isHandedCertificate(name, certificates) &&
      takesUpCertificates(planning.spec, builder)
    ) {
      builder.setAction(address, "update", newCertificate);
      ids.push(builder.add(agentStart(planning, name, "reloadAgent"), [address], certificateSteps(name, certificates)));
      started.add(name);
      continue;
    }
    if (condition !== "stopped" && condition !== "unresponsive") continue;
    const unit = unitOf(view.machines.get(name), agentUnitName);
    builder.setAction(address, "update", condition === "stopped" ? processGoneReason(unit) : processSilentReason(unit));
    const update = memberUpdate(desired, voter);
    const told = update === null ? null : builder.chain(update, []);
    const before = condition === "unresponsive" ? ids : [];
    const waits = [vacated, told, ...before, ...certificateSteps(name, certificates)];
    ids.push(builder.add(agentRestart(planning, master), [address], waits));
    started.add(name);
    waited.push(name);
  }
  if (waited.length > 0 && (ids.length > 0 || !view.hasLeader)) {
    builder.chain(awaitStarted(planning, waited.sort()), [], ids);
  }
  return started;
}

/** A new certificate may be what it needs to be heard: it is started with it, whatever it says by then. */
function agentRestart(planning: WithMasters, { name, condition }: KeptMaster): StepAction {
  const action = agentStart(planning, name, "restartAgent");
  const mayRecover = condition === "unresponsive" && !isHandedCertificate(name, planning.certificates);
  return action.kind === "restartAgent" && mayRecover ? { ...action, unlessAnswers: true } : action;
}

/** The leader transfers leadership before it leaves, if a staying voter can take over. */
function handOver(
  { masterChanges, builder }: WithMasters,
  last: MemberView | null,
  leader: MemberRef | null,
): MemberRef | null {
  const leaves = masterChanges.leaving.some((member) => member.id === leader?.memberId);
  if (leader === null || !leaves || leader.memberId === last?.id) return leader;
  const successor = bestSuccessor(masterChanges.kept)?.voter ?? last;
  if (successor === null) return null;
  builder.chain({ kind: "moveLeader", from: leader, to: refOf(successor) }, []);
  return refOf(successor);
}

export function bestSuccessor(kept: readonly KeptMaster[]): KeptMaster | null {
  return kept.find((master) => master.condition === "healthy") ?? null;
}

/** A replaced master's address stays with its successor. */
function leavingAddress(change: VoteChange, member: MemberView): readonly ResourceAddress[] {
  const { view, masterChanges } = change;
  const successor = masterChanges.joining.find((master) => master.name === member.name);
  const former = successor === undefined ? null : formerMachine(change, successor);
  if (former !== null) return [formerMember(former)];
  if (successor !== undefined || masterChanges.kept.some(({ name }) => name === member.name))
    return deposedOf(member, view);
  return [resourceAddress("haplan_raft_member", member.name)];
}

/** The state's resources of a member whose name another one has now. */
function deposedOf({ id }: MemberView, view: ClusterView): readonly ResourceAddress[] {
  return [...view.resources.values()]
    .filter(
      ({ type, address, attributes }) =>
        type === "haplan_raft_member" && isDeposed(address) && attributes["memberId"] === id,
    )
    .map(({ address }) => address);
}

/** The machine of a voter that another one of its name has replaced at another address. */
function tearDownReplaced(change: VoteChange, master: JoiningMaster): void {
  const former = formerMachine(change, master);
  if (former !== null) tearDownGeneration(change, former);
}

/**
 * The replaced machine may still exist under its successor's name. Returns whether the machine of that name is its own.
 */
function forget({ desired, view, builder }: Planning, learner: MemberView): boolean {
  const { name } = learner;
  const address = resourceAddress("haplan_raft_member", name);
  const replaced = desired.some((resource) => resource.address === address);
  const deposed = deposedOf(learner, view);
  for (const each of deposed) builder.setAction(each, "delete", "another generation has its address");
  if (!replaced) builder.setAction(address, "delete", "it is a learner that no master of the spec needs");
  builder.chain(
    { kind: "removeMember", member: name, memberId: learner.id },
    replaced ? deposed : [address, ...deposed],
  );
  return !replaced && hasName(learner);
}

/** Stops a leaving member. `voter`: the same, if it still votes. */
function stop(planning: Planning, member: MemberView, voter?: MemberView): void {
  const spare = spareOf(planning, member);
  if (spare !== undefined) {
    stopGeneration(planning, spare, voter);
    return;
  }
  planning.builder.setAction(resourceAddress("haplan_raft_member", member.name), "delete", notInSpec);
  stopMachine(planning, member.name);
}

/** Destroys the machine of a leaving member that has been stopped. */
function destroy(planning: Planning, member: MemberView): void {
  const spare = spareOf(planning, member);
  if (spare !== undefined) destroyGeneration(planning, spare);
  else destroyMachine(planning, member.name);
}

function spareOf({ view }: Planning, member: MemberView): ObservedMachine | undefined {
  return view.spares.find((machine) => machine === machineOf(view, member));
}

function stopMachine({ view, builder }: Planning, name: string): void {
  if (!view.machines.has(name)) return;
  const agent = resourceAddress("haplan_agent", name);
  builder.setAction(agent, "delete", notInSpec);
  builder.chain({ kind: "stopAgent", member: name }, [agent]);
}

function destroyMachine({ view, builder }: Planning, name: string): void {
  if (!view.machines.has(name)) return;
  const machine = resourceAddress("haplan_machine", name);
  builder.setAction(machine, "delete", notInSpec);
  builder.add({ kind: "destroyMachine", machine: name }, [machine], [builder.lastSerialStep]);
}
