/**
 * A renamed master: its machine, its data and its address stay. What was observed and what the state contains are read
 * under the new name, and the first step of the plan renames it.
 */

import type { Json } from "../base/json.ts";
import type { MovedMaster } from "../spec/cluster-spec.ts";
import { isInitialCluster } from "../units/initial-cluster.ts";
import type { ObservedCluster, ObservedMachine } from "./observed-cluster.ts";
import { whyUnreachable } from "./observed-cluster.ts";
import type { ResourceChange } from "./plan.ts";
import type { PlannerInput } from "./planner-input.ts";
import type { Planning } from "./planning.ts";
import {
  masterTypes,
  parseAddress,
  type ResourceAddress,
  type ResourceType,
  resourceAddress,
  specName,
} from "./resource.ts";
import { refuseUnreachableMaster } from "./rules/unreachable.ts";
import type { State, StateResource } from "./state.ts";

/** Resources named after their master. Certificates are as well, but they are issued for the new name. */
export const movedTypes: readonly ResourceType[] = [...masterTypes, "haplan_lb_backend"];

export type Moves = {
  /** Renames that are to be made, wholly or in part. */
  readonly made: readonly MovedMaster[];
  /** Renames where both names exist: neither is treated as the other. */
  readonly unclear: readonly MovedMaster[];
};

export const noMoves: Moves = { made: [], unclear: [] };

/** From the spec, or from a state in which a master was renamed. */
export function movesOf({ spec, state, observed, mode, refreshOnly }: PlannerInput): Moves {
  if (mode === "destroy" || refreshOnly === true) return noMoves;
  const made: MovedMaster[] = [];
  const unclear: MovedMaster[] = [];
  for (const move of [...(spec.controlPlane.moved ?? []), ...movesInState(spec, state, observed)]) {
    if (!isKnown(move.from, state, observed) || made.some(({ from }) => from === move.from)) continue;
    const taken = areTwo(move, state, observed) || made.some(({ to }) => to === move.to);
    (taken ? unclear : made).push(move);
  }
  return { made, unclear };
}

function isKnown(name: string, state: State | null, observed: ObservedCluster): boolean {
  const ofMaster = ({ type, name: known }: StateResource): boolean =>
    movedTypes.includes(type) && specName(known) === name;
  return observed.machines.some((machine) => machine.name === name) || (state?.resources ?? []).some(ofMaster);
}

/** Each of the names has a machine, or a member in the state: this is not one resource that is half renamed. */
function areTwo({ from, to }: MovedMaster, state: State | null, { machines }: ObservedCluster): boolean {
  const both = (names: readonly string[]): boolean => names.includes(from) && names.includes(to);
  const members = (state?.resources ?? []).filter(({ type }) => type === "haplan_raft_member");
  return both(machines.map(({ name }) => name)) || both(members.map(({ name }) => name));
}

/**
 * A machine that the state has under another name, with the same address and generation: one of the names is the
 * spec's.
 */
function movesInState(
  spec: PlannerInput["spec"],
  state: State | null,
  { machines }: ObservedCluster,
): readonly MovedMaster[] {
  const wanted = new Set(spec.controlPlane.masters.map(({ name }) => name));
  const known = (state?.resources ?? []).filter(({ type }) => type === "haplan_machine");
  const unnamed = machines.filter(
    ({ name, lineage }) => lineage === state?.lineage && known.every((each) => specName(each.name) !== name),
  );
  const unseen = known.filter(({ name }) => machines.every((machine) => machine.name !== specName(name)));
  return unnamed.flatMap((machine) => {
    const same = unseen.find((resource) => isSame(resource, machine));
    if (same === undefined || wanted.has(same.name) === wanted.has(machine.name)) return [];
    return wanted.has(same.name) ? [{ from: machine.name, to: same.name }] : [{ from: same.name, to: machine.name }];
  });
}

function isSame({ generation, attributes }: StateResource, machine: ObservedMachine): boolean {
  return generation === machine.generation && attributes["address"] === machine.address;
}

/** The input under the new names. */
export function renameObserved(input: PlannerInput, moves: readonly MovedMaster[]): PlannerInput {
  const newName = (name: string): string => moves.find(({ from }) => from === name)?.to ?? name;
  const { state, observed } = input;
  const renamed = <T extends { readonly name: string }>(each: T): T => ({ ...each, name: newName(each.name) });
  return {
    ...input,
    state: state === null ? null : { ...state, resources: moves.reduce(moveResources, state.resources) },
    observed: {
      ...observed,
      machines: observed.machines.map(renamed),
      ...(observed.unreachable === undefined ? {} : { unreachable: observed.unreachable.map(renamed) }),
      backends: observed.backends.map(renamed),
      membership:
        observed.membership === null
          ? null
          : { ...observed.membership, members: observed.membership.members.map(renamed) },
    },
  };
}

/** The resources of a master in the state, under its new name. */
export function moveResources(
  resources: readonly StateResource[],
  { from, to }: MovedMaster,
): readonly StateResource[] {
  const moves = ({ type, name }: StateResource): boolean => movedTypes.includes(type) && specName(name) === from;
  const addresses = new Map(
    resources
      .filter(moves)
      .map(({ type, name, address }) => [address, resourceAddress(type, to + name.slice(from.length))]),
  );
  const moved = (address: ResourceAddress): ResourceAddress => addresses.get(address) ?? address;
  return resources.map((resource) => {
    const dependsOn = resource.dependsOn.map(moved);
    const address = moved(resource.address);
    if (address === resource.address) return { ...resource, dependsOn };
    const { attributes } = resource;
    const join = attributes["join"] === undefined ? {} : { join: movedJoin(attributes["join"], { from, to }) };
    const { name } = parseAddress(address);
    return { ...resource, address, name, dependsOn, attributes: { ...attributes, ...join } };
  });
}

/** An agent finds itself by name in its initial cluster. */
function movedJoin(join: Json, { from, to }: MovedMaster): Json {
  if (!isInitialCluster(join)) return join;
  const { clusterState, initialCluster } = join;
  return {
    clusterState,
    initialCluster: initialCluster.map((each) => (each.name === from ? { ...each, name: to } : each)),
  };
}

/** Records the previous address in each change of a resource that moved. */
export function withMoves(changes: readonly ResourceChange[], { made }: Moves): readonly ResourceChange[] {
  return changes.map((change) => {
    const move = made.find(({ to }) => to === change.name);
    if (move === undefined || change.before === null || !movedTypes.includes(change.type)) return change;
    return { ...change, movedFrom: resourceAddress(change.type, move.from) };
  });
}

/** The first step of each move, and warnings about ambiguous ones. */
export function planMoves(planning: Planning, { made, unclear }: Moves): void {
  const { state, observed, builder } = planning;
  for (const { from, to } of made) {
    const known = new Set((state?.resources ?? []).map(({ address }) => address));
    const addresses = movedTypes.map((type) => resourceAddress(type, to)).filter((address) => known.has(address));
    if (whyUnreachable(observed.unreachable ?? [], to) !== null) {
      refuseUnreachableMaster(to, `its machine is still labeled ${from}`, planning);
    }
    builder.chain({ kind: "renameMaster", from, to }, addresses);
  }
  if (made.length > 0) builder.addBarrier();
  for (const { from, to } of unclear) {
    builder.warn(
      "plan/moved-unclear",
      `${from} has not moved to ${to}: both exist`,
      `The spec declares that ${to} is the former ${from}, but both exist. ${from} is not in the spec, so this plan removes it. If that is right, remove the entry from moved.`,
    );
  }
}
