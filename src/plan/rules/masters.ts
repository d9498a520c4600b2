/**
 * Decides for each master of a formed cluster: keep (and restart, if it is down), join (new, or in place of one that
 * cannot come back), move (healthy, but at another address), rebuild (again at its current address), or remove. The
 * other rules act on this.
 */

import { agentUnitName } from "../../units/unit-definition.ts";
import { asRequested, type ChangeReason, reasonText, unreachableReplaced } from "../change-reason.ts";
import {
  areApart,
  type ClusterView,
  isBeforeFirstStart,
  isEmpty,
  isRecoverable,
  isUncalled,
  isUnreachable,
  type MemberCondition,
  type MemberView,
  machineOf,
  machinesNamed,
  memberCondition,
  unitOf,
} from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import { isAbandoned, type ObservedMachine } from "../observed-cluster.ts";
import type { PlanBuilder } from "../plan-builder.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { forcingAttributes, haveChanged, machineAddress } from "./machines.ts";
import { isRequested } from "./requested-replacements.ts";
import { noteDeadUnit } from "./unit-condition.ts";
import { refuseUnreachableMaster } from "./unreachable.ts";

export type KeptMaster = {
  /** `move`: the new member joins before the old one leaves; `rebuild`: both need the same address. */
  readonly kind: "keep" | "rebuild" | "move";
  readonly name: string;
  /** Its name differs from the master's if one is renamed: the new member is rebuilt in its place. */
  readonly voter: MemberView;
  readonly condition: MemberCondition;
  /** For a move: left by an interrupted apply, a member that does not vote yet. */
  readonly learner: MemberView | null;
};

export type JoiningMaster = {
  readonly kind: "join";
  readonly name: string;
  /** The voter that it replaces, which has the same name. */
  readonly replaces: MemberView | null;
  /** Left by an interrupted apply: already a member, not yet a voter. */
  readonly learner: MemberView | null;
  readonly reason: ChangeReason | null;
};

export type MasterChanges = {
  readonly kept: readonly KeptMaster[];
  readonly joining: readonly JoiningMaster[];
  readonly leaving: readonly MemberView[];
  readonly orphanedLearners: readonly MemberView[];
};

export function classifyMasters(planning: Planning): MasterChanges {
  const { desired, view } = planning;
  const kept: KeptMaster[] = [];
  const joining: JoiningMaster[] = [];
  const used = new Set<MemberView>();
  for (const resource of desired) {
    if (resource.type !== "haplan_raft_member") continue;
    const outcome = renamed(planning, resource) ?? masterOutcome(planning, resource);
    if (outcome.kind !== "keep" && isUnreachable(view, outcome.name)) {
      refuseUnreachableMaster(outcome.name, whyAnew(planning, resource, outcome), planning);
    }
    if (outcome.kind === "join") {
      joining.push(outcome);
      if (outcome.replaces !== null) used.add(outcome.replaces);
      if (outcome.learner !== null) used.add(outcome.learner);
    } else {
      kept.push(outcome);
      used.add(outcome.voter);
      if (outcome.learner !== null) used.add(outcome.learner);
    }
  }
  const others = view.members.filter((member) => !used.has(member));
  return {
    kept,
    joining,
    leaving: others.filter((member) => member.voter),
    orphanedLearners: others.filter((member) => !member.voter),
  };
}

function whyAnew(planning: Planning, resource: DesiredResource, outcome: KeptMaster | JoiningMaster): string {
  if (outcome.kind === "join") return reasonText(outcome.reason ?? "it is not a member yet");
  return reasonText(whyRebuild(planning, resource, outcome.voter) ?? "its name has changed");
}

/**
 * A new name at the address of a voter that the spec no longer lists: one address, so the voter leaves before the new
 * member joins.
 */
function renamed({ spec, view }: Planning, { name }: DesiredResource): KeptMaster | null {
  if (view.machines.has(name) || view.members.some((member) => member.name === name)) return null;
  const { masters } = spec.controlPlane;
  const address = masters.find((master) => master.name === name)?.address;
  const voter = view.members.find(
    (member) =>
      member.voter &&
      memberCondition(view, member) === "healthy" &&
      view.machines.get(member.name)?.address === address &&
      masters.every((master) => master.name !== member.name),
  );
  return voter === undefined ? null : { kind: "rebuild", name, voter, condition: "healthy", learner: null };
}

function masterOutcome(planning: Planning, resource: DesiredResource): KeptMaster | JoiningMaster {
  const { view } = planning;
  const { name } = resource;
  const own = view.members.filter((member) => member.name === name);
  const voters = own.filter((member) => member.voter);
  const voter = voters.find((member) => !movesPeerUrl(resource, member)) ?? voters[0] ?? null;
  const learner = usableLearner(planning, own, resource);
  if (voter === null) return { kind: "join", name, replaces: null, learner, reason: null };
  const condition = memberCondition(view, voter);
  if (!isRecoverable(condition)) {
    const reason = lossReason(planning, name, condition);
    return { kind: "join", name, replaces: voter, learner, reason };
  }
  // A learner on its machine means that replacing this voter was started: the machine is the learner's now, even if the
  // learner cannot be used any more and joins again.
  const begun = own.some(
    (member) => !member.voter && (member.started || member === learner) && sharesMachine(view, member, voter),
  );
  if ((begun || hasDataOfAnother(view, voter)) && condition !== "healthy") {
    return { kind: "join", name, replaces: voter, learner, reason: "its replacement was started" };
  }
  const why = whyRebuild(planning, resource, voter);
  if (why === null) return { kind: "keep", name, voter, condition, learner: null };
  if (condition === "healthy") {
    const moves = leavesItsPlace(planning, name);
    return { kind: moves ? "move" : "rebuild", name, voter, condition, learner: moves ? learner : null };
  }
  return { kind: "join", name, replaces: voter, learner, reason: why };
}

/**
 * The state has a learner as the member of this machine: its data is that of the learner, which may have been removed
 * since because it did not catch up. The voter has lost its own.
 */
function hasDataOfAnother(view: ClusterView, voter: MemberView): boolean {
  const machine = machineOf(view, voter);
  const known = view.resources.get(resourceAddress("haplan_raft_member", voter.name));
  if (machine === undefined || known === undefined || known.generation !== machine.generation) return false;
  return known.attributes["role"] === "learner" && known.attributes["memberId"] !== voter.id;
}

function sharesMachine(view: ClusterView, member: MemberView, voter: MemberView): boolean {
  return machineOf(view, member) === machineOf(view, voter);
}

/** Whether the master's machine can stay until another one of the same name has replaced it. */
export function leavesItsPlace({ spec, view }: Planning, name: string): boolean {
  const wanted = spec.controlPlane.masters.find((master) => master.name === name)?.address;
  const present = view.machines.get(name)?.address;
  return wanted !== undefined && present !== undefined && areApart(present, wanted);
}

function lossReason({ observed, view }: Planning, name: string, condition: MemberCondition): ChangeReason {
  if (condition === "dataLost") return "its data directory has no log";
  const wasAdopted = view.resources.get(resourceAddress("haplan_raft_member", name))?.attributes["adopted"] === true;
  if (wasAdopted) return "it does not answer and is no longer adopted";
  return isAbandoned(observed, name) ? unreachableReplaced : "its machine is gone";
}

export function whyRebuild(planning: Planning, resource: DesiredResource, voter: MemberView): ChangeReason | null {
  const { view } = planning;
  if (voter.adopted) return null;
  const addresses = [resource.address, resourceAddress("haplan_machine", resource.name)];
  const asked = addresses.some((address) => isRequested(planning, address));
  // A rebuilt member has a higher generation than the requested one; requesting it again replaces it again.
  if (asked) return asRequested;
  const wanted = planning.spec.controlPlane.masters.find((master) => master.name === resource.name)?.address;
  const machine = view.machines.get(resource.name);
  // A member with a new peer URL on its machine is updated and restarts with it.
  if (machine === undefined) return movesPeerUrl(resource, voter) ? "its peer URL has changed" : null;
  if (machine.address !== wanted) return "its address has changed";
  const forces = forcedBy(planning, resource.name);
  if (forces.length > 0) return haveChanged(forces);
  return losesItsData(machine) && !isBeforeFirstStart(machine, voter) ? dataGoneUnderIt : null;
}

/** Attributes of the master's machine, beside its address, for whose change another machine takes its place. */
export function forcedBy({ desired, view }: Planning, name: string): readonly string[] {
  const machine = desired.find(({ address }) => address === machineAddress(name));
  return machine === undefined ? [] : forcingAttributes(machine, view);
}

/** Whether its peer URL differs from the spec. */
export function movesPeerUrl(resource: DesiredResource, { peerUrl, adopted }: MemberView): boolean {
  return !adopted && peerUrl !== "" && peerUrl !== resource.attributes["peerUrl"];
}

const dataGoneUnderIt = "its data directory is gone while it runs";

/** It keeps running from memory and from deleted files, until it needs another one. */
function losesItsData(machine: ObservedMachine): boolean {
  return !machine.hasData && unitOf(machine, agentUnitName)?.running === true;
}

/** A learner whose data is where it left it, or that has not started yet; any other is removed and joins again. */
function usableLearner(
  { spec, view }: Planning,
  own: readonly MemberView[],
  resource: DesiredResource,
): MemberView | null {
  const learner = own.find((member) => !member.voter && !movesPeerUrl(resource, member)) ?? null;
  const wanted = spec.controlPlane.masters.find((master) => master.name === resource.name)?.address;
  const machine = machinesNamed(view, resource.name).find(({ address }) => address === wanted);
  if (learner === null || machine === undefined || holdsFormerMember(view, machine, learner)) return null;
  // It has lost its vote to a newer one, and the spec has its address again: a machine of the next generation takes its place.
  if (machine.generation < (view.machines.get(resource.name)?.generation ?? 0)) return null;
  return learner.healthy || machine.hasData || !learner.started ? learner : null;
}

/**
 * An apply of another spec added the learner for a master at the same address; the data there is still the voter's. If
 * the state has the learner as the member of this machine the data is its own, even before it has reported its name.
 */
function holdsFormerMember(view: ClusterView, machine: ObservedMachine, learner: MemberView): boolean {
  const known = view.resources.get(resourceAddress("haplan_raft_member", machine.name));
  if (learner.started || isEmpty(machine) || known === undefined) return false;
  const own = known.attributes["memberId"] === learner.id && machine.generation === known.generation;
  return !own && machine.generation <= known.generation;
}

/** Ids of observed voters: known although they are not in the spec. */
export function noteFoundVoters({ view, builder }: Planning): void {
  for (const { id, voter, name, adopted, peerUrl } of view.members) {
    if (id === "" || !voter) continue;
    builder.facts.set(
      resourceAddress("haplan_raft_member", name),
      adopted ? { memberId: id, peerUrl } : { memberId: id },
    );
  }
}

/** Changes made outside of haplan since the state was written. */
export function noteDrift(planning: Planning & { readonly masterChanges: MasterChanges }): void {
  const { masterChanges, observed, view, builder } = planning;
  for (const { name, voter, condition } of masterChanges.kept) {
    const machine = view.machines.get(name);
    if (condition === "healthy" && machine !== undefined && losesItsData(machine))
      noteDataGone(name, dataGoneUnderIt, builder);
    if (condition === "adoptedUnreachable") noteAdoptedUnreachable(name, voter, builder);
    if (condition === "unreachable") noteUnreachable(name, planning);
    if (condition === "stopped" || condition === "unresponsive") {
      noteDeadUnit(resourceAddress("haplan_agent", name), condition, builder);
    }
  }
  for (const { name, replaces, reason } of masterChanges.joining) {
    if (replaces === null || !view.resources.has(resourceAddress("haplan_raft_member", name))) continue;
    if (isRecoverable(memberCondition(view, replaces))) continue;
    if (view.machines.has(name)) {
      noteDataGone(name, reasonText(reason ?? "it is gone"), builder);
      continue;
    }
    if (isAbandoned(observed, name)) {
      noteUnreachable(name, planning);
      continue;
    }
    const machine = resourceAddress("haplan_machine", name);
    // An adopted member had no machine of haplan's.
    const address = view.resources.has(machine) ? machine : resourceAddress("haplan_raft_member", name);
    builder.drift.push({
      address,
      action: "delete",
      reason: reasonText(reason ?? "it is gone"),
      before: { status: "ready" },
      after: null,
    });
  }
  for (const member of masterChanges.leaving) {
    if (view.resources.has(resourceAddress("haplan_raft_member", member.name)) || view.resources.size === 0) continue;
    builder.warn(
      "plan/unknown-voter",
      `Voter ${member.name} is not in the state`,
      "It was added outside of haplan and is not in the spec: this plan removes it.",
    );
  }
}

function noteDataGone(name: string, reason: string, builder: PlanBuilder): void {
  builder.drift.push({
    address: resourceAddress("haplan_agent", name),
    action: "update",
    reason,
    before: { data: "present" },
    after: { data: "gone" },
  });
}

function noteAdoptedUnreachable(name: string, voter: MemberView, builder: PlanBuilder): void {
  builder.drift.push({
    address: resourceAddress("haplan_raft_member", name),
    action: "update",
    reason: "it does not answer",
    before: { status: "answering" },
    after: { status: "not answering" },
  });
  builder.warn(
    "plan/adopted-away",
    `${name} was adopted and does not answer`,
    `haplan did not start it and does not restart it. Start it where it runs (its peer URL is ${voter.peerUrl || "unknown"}), or remove it from adopt.endpoints: then haplan replaces it with a member of its own.`,
  );
}

function noteUnreachable(name: string, { view, builder }: Pick<Planning, "view" | "builder">): void {
  builder.drift.push({
    address: resourceAddress("haplan_raft_member", name),
    action: "update",
    reason: isUncalled(view, name)
      ? "haplan cannot call it, and its process is at work"
      : "it does not answer, and its machine is unreachable",
    before: { status: "answering" },
    after: { status: "unreachable" },
  });
}

/** Whether the agent's process exists. */
export function agentRuns(view: ClusterView, name: string): boolean {
  return machinesNamed(view, name).some((machine) => unitOf(machine, agentUnitName)?.running === true);
}
