/**
 * The machine of a new member. If it has another address than the member that it replaces, there are two machines of
 * one name until it has its vote: their generations distinguish them.
 */

import type { ChangeReason } from "../change-reason.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { deposedAddress, masterTypes, type ResourceAddress } from "../resource.ts";
import { generationOf, type MemberFact, machineOf } from "../world.ts";
import { createMachine, machineAddress } from "./machines.ts";
import { leavesItsPlace, type MastersOutlook } from "./masters.ts";
import type { WithMasters } from "./stages.ts";

export type Newcomer = {
  readonly name: string;
  /** The voter that it replaces, which has the same name. */
  readonly replaces: MemberFact | null;
  /** Left by an interrupted apply: already a member, not yet a voter. */
  readonly learner: MemberFact | null;
  readonly reason: ChangeReason | null;
};

/** The machine that stays until the new member has its vote; null if there is none, or it has to be destroyed first. */
export function formerMachine(
  planning: Planning,
  { name, replaces }: Pick<Newcomer, "name" | "replaces">,
): ObservedMachine | null {
  const { world } = planning;
  return replaces !== null && leavesItsPlace(planning, name) ? world.machines.get(name)! : null;
}

/** The machine on which an interrupted apply has started the new member, and on which this one continues. */
export function begunMachine(planning: Planning, newcomer: Newcomer): ObservedMachine | null {
  const { world } = planning;
  if (formerMachine(planning, newcomer) === null) return null;
  const { masters } = planning.spec.controlPlane;
  const wanted = masters.find((master) => master.name === newcomer.name)?.address;
  const spare = world.spares.find(({ name, address }) => name === newcomer.name && address === wanted);
  return spare !== undefined && (newcomer.learner !== null || !spare.hasData) ? spare : null;
}

/**
 * A member never starts on the data of another: a machine that may have data of another member is replaced by one of
 * the next generation. One that an interrupted apply has just created is used. Returns the step to wait for.
 */
export function prepareMachine(
  planning: Planning,
  newcomer: Newcomer,
  after: readonly (string | null)[],
): string | null {
  const { desired, world, draft } = planning;
  const { name, learner, reason } = newcomer;
  const address = machineAddress(name);
  const resource = desired.find((candidate) => candidate.address === address)!;
  const found = world.machines.get(name);
  const next = createMachine(resource, generationOf(world, name) + 1);
  if (found === undefined) {
    draft.judge(address, "create", world.resources.has(address) ? "it is gone" : null);
    return draft.add(next, [address], after);
  }
  const former = formerMachine(planning, newcomer);
  if (former !== null) {
    draft.judge(address, "createThenDelete", reason, ["address"]);
    const generation = begunMachine(planning, newcomer)?.generation ?? next.generation;
    return draft.add({ ...next, generation, deposes: former.generation }, [address], after);
  }
  const memberGeneration = world.resources.get(`haplan_raft_member.${name}`)?.generation ?? 0;
  const untouched = !found.hasData && found.generation > memberGeneration && world.resources.size > 0;
  const rightPlace = found.address === resource.attributes["address"];
  if (rightPlace && (learner !== null || untouched)) return null;
  const forces = rightPlace ? undefined : ["address"];
  draft.judge(address, "deleteThenCreate", reason ?? "it has data of an earlier member", forces);
  const destroyed = draft.add({ kind: "destroyMachine", machine: name }, [address], [draft.chainEnd]);
  return draft.add(next, [address], [destroyed]);
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
  const { outlook, world, draft } = planning;
  const newcomers = newcomersOf(outlook);
  const back = world.unseated.filter(({ name }) =>
    newcomers.every((each) => each.name !== name || formerMachine(planning, each) === null),
  );
  if (back.length > 0) draft.chain({ kind: "recordState", reinstates: back }, []);
  const used = new Set(newcomers.map((newcomer) => begunMachine(planning, newcomer)));
  const votes = (spare: ObservedMachine): boolean =>
    world.members.some((member) => member.voter && member.name === spare.name && machineOf(world, member) === spare);
  const unused = world.spares.filter((spare) => !used.has(spare) && !votes(spare) && !world.membersRemembered);
  for (const spare of unused) tearDownGeneration(planning, spare);
  if (back.length + unused.length > 0) draft.holdBehindChain();
}

/** Masters that replace a voter of their name. */
function newcomersOf({ kept, joining }: MastersOutlook): readonly Newcomer[] {
  const moving = kept.filter(({ kind }) => kind === "move");
  return [...joining, ...moving.map(({ name, voter, learner }) => ({ name, replaces: voter, learner, reason: null }))];
}

/** Destroys one of two machines of a name: its member does not vote, or no longer does. */
export function tearDownGeneration({ world, draft }: Planning, { name, generation }: ObservedMachine): void {
  const deposed = masterTypes.map((type) => deposedAddress(type, name, generation));
  const unseated = world.unseated.some((each) => each.name === name && each.generation === generation);
  for (const address of deposed) {
    if (world.resources.has(address) && !unseated) draft.judge(address, "delete", "another generation has its address");
  }
  draft.chain({ kind: "stopAgent", member: name, generation }, [deposedAddress("haplan_agent", name, generation)]);
  draft.chain({ kind: "destroyMachine", machine: name, generation }, [...deposed, machineAddress(name)]);
}
