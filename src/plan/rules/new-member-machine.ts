/**
 * The machine of a new member. If it has another address than the member that it replaces, there are two machines of
 * one name until it has its vote: their generations distinguish them.
 */

import { agentUnitName } from "../../units/unit-definition.ts";
import type { ChangeReason } from "../change-reason.ts";
import { generationOf, isEmpty, type MemberView, machineOf, unitOf } from "../cluster-view.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { deposedAddress, masterTypes, type ResourceAddress } from "../resource.ts";
import { createMachine, createMissing, machineAddress, whyMissing } from "./machines.ts";
import { leavesItsPlace, type MasterChanges } from "./masters.ts";
import type { WithMasters } from "./stages.ts";

export type NewMember = {
  readonly name: string;
  /** The voter that it replaces, which has the same name. */
  readonly replaces: MemberView | null;
  /** Left by an interrupted apply: already a member, not yet a voter. */
  readonly learner: MemberView | null;
  readonly reason: ChangeReason | null;
};

/** The machine that stays until the new member has its vote; null if there is none, or it has to be destroyed first. */
export function formerMachine(
  planning: Planning,
  { name, replaces }: Pick<NewMember, "name" | "replaces">,
): ObservedMachine | null {
  const { view } = planning;
  return replaces !== null && leavesItsPlace(planning, name) ? view.machines.get(name)! : null;
}

/** The machine on which an interrupted apply has started the new member, and on which this one continues. */
export function begunMachine(planning: Planning, newMember: NewMember): ObservedMachine | null {
  const { view } = planning;
  const former = formerMachine(planning, newMember);
  if (former === null) return null;
  const { masters } = planning.spec.controlPlane;
  const wanted = masters.find((master) => master.name === newMember.name)?.address;
  const spare = view.spares.find(({ name, address }) => name === newMember.name && address === wanted);
  if (spare === undefined || spare.generation < former.generation) return null;
  return newMember.learner !== null || isEmpty(spare) ? spare : null;
}

/**
 * A member never starts on the data of another: a machine that may have data of another member is replaced by one of
 * the next generation. One that an interrupted apply has just created is used. Returns the step to wait for.
 */
export function prepareMachine(
  planning: Planning,
  newMember: NewMember,
  after: readonly (string | null)[],
): string | null {
  const { desired, view, builder } = planning;
  const { name, learner, reason } = newMember;
  const address = machineAddress(name);
  const resource = desired.find((candidate) => candidate.address === address)!;
  const found = view.machines.get(name);
  const next = createMachine(resource, generationOf(view, name) + 1);
  if (found === undefined) {
    builder.setAction(address, "create", whyMissing(planning, resource));
    return builder.add(createMissing(planning, resource), [address], after);
  }
  const former = formerMachine(planning, newMember);
  if (former !== null) {
    builder.setAction(address, "createThenDelete", reason, ["address"]);
    const generation = begunMachine(planning, newMember)?.generation ?? next.generation;
    return builder.add({ ...next, generation, deposes: former.generation }, [address], after);
  }
  const untouched = isEmpty(found) && (isNewerThanMember(planning, found) || isOfLearnerThatNeverRan(planning, found));
  const rightPlace = found.address === resource.attributes["address"];
  if (rightPlace && (learner !== null || untouched)) return null;
  const forces = rightPlace ? undefined : ["address"];
  builder.setAction(address, "deleteThenCreate", reason ?? "it has data of an earlier member", forces);
  const destroyed = builder.add({ kind: "destroyMachine", machine: name }, [address], [builder.lastSerialStep]);
  return builder.add(next, [address], [destroyed]);
}

function isNewerThanMember({ view }: Planning, { name, generation }: ObservedMachine): boolean {
  return view.resources.size > 0 && generation > (view.resources.get(`haplan_raft_member.${name}`)?.generation ?? 0);
}

/** The learner for which it was created could not be started, and was removed. */
function isOfLearnerThatNeverRan({ view }: Planning, machine: ObservedMachine): boolean {
  const known = view.resources.get(`haplan_raft_member.${machine.name}`);
  const wasLearner = known?.attributes["role"] === "learner" && known.generation === machine.generation;
  return wasLearner && unitOf(machine, agentUnitName)?.running !== true;
}

/** The state's entry of the replaced member at the time of its removal. */
export function formerMember({ name, generation }: ObservedMachine): ResourceAddress {
  return deposedAddress("haplan_raft_member", name, generation);
}

/**
 * Of two machines of one name that an interrupted apply has left: destroys the unused one, and restores the state of
 * the one that votes. If a member does not answer, nothing is removed from its machine.
 */
export function clearSpares(planning: WithMasters): void {
  const { masterChanges, view, builder } = planning;
  const newMembers = newMembersOf(masterChanges);
  const back = view.unseated.filter(({ name }) =>
    newMembers.every((each) => each.name !== name || formerMachine(planning, each) === null),
  );
  if (back.length > 0) builder.chain({ kind: "recordState", reinstates: back }, []);
  const used = new Set(newMembers.map((newMember) => begunMachine(planning, newMember)));
  const votes = (spare: ObservedMachine): boolean =>
    view.members.some((member) => member.voter && member.name === spare.name && machineOf(view, member) === spare);
  const unused = view.spares.filter((spare) => !used.has(spare) && !votes(spare) && !view.membersRemembered);
  for (const spare of unused) tearDownGeneration(planning, spare);
  if (back.length + unused.length > 0) builder.addBarrier();
}

/** Masters that replace a voter of their name. */
function newMembersOf({ kept, joining }: MasterChanges): readonly NewMember[] {
  const moving = kept.filter(({ kind }) => kind === "move");
  return [...joining, ...moving.map(({ name, voter, learner }) => ({ name, replaces: voter, learner, reason: null }))];
}

/** Destroys one of two machines of a name: its member does not vote, or no longer does. */
export function tearDownGeneration(planning: Planning, machine: ObservedMachine): void {
  stopGeneration(planning, machine);
  destroyGeneration(planning, machine);
}

/** The first half of `tearDownGeneration`. `voter`: its member, if that still votes. */
export function stopGeneration({ view, builder }: Planning, machine: ObservedMachine, voter?: MemberView): void {
  const { name, generation } = machine;
  const votes = voter === undefined ? {} : { memberId: voter.id };
  const unseated = view.unseated.some((each) => each.name === name && each.generation === generation);
  for (const address of deposedMaster(machine)) {
    if (view.resources.has(address) && !unseated)
      builder.setAction(address, "delete", "another generation has its address");
  }
  if (unitOf(machine, agentUnitName) !== undefined)
    builder.chain({ kind: "stopAgent", member: name, generation, ...votes }, [
      deposedAddress("haplan_agent", name, generation),
    ]);
}

/** The second half of `tearDownGeneration`. */
export function destroyGeneration({ builder }: Planning, machine: ObservedMachine): void {
  const { name, generation } = machine;
  const addresses = [...deposedMaster(machine), machineAddress(name)];
  builder.chain({ kind: "destroyMachine", machine: name, generation }, addresses);
}

function deposedMaster({ name, generation }: ObservedMachine): readonly ResourceAddress[] {
  return masterTypes.map((type) => deposedAddress(type, name, generation));
}
