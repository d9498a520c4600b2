/** Manual edits of a state, as functions from state to state. Serial and lineage are the caller's responsibility. */
import type { CommandWords } from "../base/command-words.ts";
import { HaplanError } from "../base/haplan-error.ts";
import { movedTypes, moveResources } from "../plan/moved-masters.ts";
import { type ResourceAddress, type ResourceType, resourceAddress, specName } from "../plan/resource.ts";
import type { State, StateResource } from "../plan/state.ts";
import { nearestName } from "../spec/nearest-name.ts";
import { reservedNames } from "../spec/reserved-names.ts";

/** Resources with this address, or of this type; all without a filter. @throws HaplanError `state/no-resource` */
export function selectResources(state: State, filters: readonly string[]): readonly StateResource[] {
  if (filters.length === 0) return state.resources;
  const chosen = new Set<StateResource>();
  for (const filter of filters) {
    const found = state.resources.filter(({ address, type }) => address === filter || type === filter);
    if (found.length === 0) throw noResource(state, filter);
    for (const resource of found) chosen.add(resource);
  }
  return state.resources.filter((resource) => chosen.has(resource));
}

/** @throws HaplanError `state/no-resource` */
export function findResource(state: State, address: string): StateResource {
  const found = state.resources.find((resource) => resource.address === address);
  if (found === undefined) throw noResource(state, address);
  return found;
}

const resourceName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/**
 * Renames one resource; its dependents follow. A resource of a master moves only together with the others of that
 * master: alone, it would be read as another master's. @throws HaplanError `state/no-resource`, `state/bad-move`
 */
export function moveResource(state: State, from: string, to: string): State {
  const moved = findResource(state, from);
  const [type, ...rest] = to.split(".");
  const name = rest.join(".");
  const badMove = (reason: string, detail: string, commands: readonly CommandWords[] = []): HaplanError =>
    new HaplanError("state/bad-move", `Cannot move ${from} to ${to}: ${reason}\n${detail}`, { commands });
  if (type !== moved.type || !resourceName.test(name)) {
    throw badMove("a resource keeps its type", `Write an address such as ${moved.type}.NAME.`);
  }
  if (state.resources.some(({ address }) => address === to)) {
    throw badMove("it exists already", "If it is wrong, remove it first:", [["state", "rm", to]]);
  }
  const others = othersOfMaster(state, moved);
  if (others.length > 0) {
    throw badMove(
      `it is one of the resources of master ${specName(moved.name)}`,
      `These would keep their names: ${others.join(", ")}. To rename the whole master:`,
      [["state", "mv", specName(moved.name), name]],
    );
  }
  const owner = moved.type === "haplan_worker" ? reservedNames[name] : undefined;
  if (owner !== undefined) throw badMove(`"${name}" is the name of ${owner}`, "Write another name.");
  const target = resourceAddress(type as ResourceType, name);
  return {
    ...state,
    resources: state.resources.map((resource) => ({
      ...resource,
      ...(resource === moved ? { address: target, name } : {}),
      dependsOn: resource.dependsOn.map((address) => (address === from ? target : address)),
    })),
  };
}

function othersOfMaster({ resources }: State, moved: StateResource): readonly ResourceAddress[] {
  const named = resources.filter(
    ({ name, type }) => specName(name) === specName(moved.name) && movedTypes.includes(type),
  );
  const isMaster = named.some(({ type, attributes }) => type !== "haplan_machine" || attributes["role"] === "master");
  return isMaster && named.includes(moved) ? named.filter((each) => each !== moved).map(({ address }) => address) : [];
}

/**
 * Renames a master in all its resources: the next plan renames its machine, and restarts its agent under the new name
 * with its data. @throws HaplanError `state/no-resource`, `state/bad-move`
 */
export function moveMaster(state: State, from: string, to: string): State {
  const badMove = (reason: string, detail: string): HaplanError =>
    new HaplanError("state/bad-move", `Cannot move master ${from} to ${to}: ${reason}\n${detail}`);
  const members = state.resources.filter(({ type }) => type === "haplan_raft_member");
  const masters = [...new Set(members.map(({ name }) => specName(name)))].sort();
  if (!masters.includes(from))
    throw badMove(`the state has no master ${from}`, `Its masters are ${masters.join(", ")}.`);
  if (!resourceName.test(to))
    throw badMove(`"${to}" is not a valid name`, `Write a name such as ${from}, as in the spec.`);
  const owner = reservedNames[to];
  if (owner !== undefined)
    throw badMove(`"${to}" is the name of ${owner}`, "That name is reserved. Write another name.");
  // Certificates of both names may exist: the new one is issued before the former one is removed.
  if (state.resources.some(({ name, type }) => specName(name) === to && type !== "haplan_certificate")) {
    throw badMove(`${to} exists already`, "Write a name that is not in use.");
  }
  return { ...state, resources: moveResources(state.resources, { from, to }) };
}

/** Forgets resources, and the dependencies on them. @throws HaplanError `state/no-resource` */
export function removeResources(state: State, addresses: readonly string[]): State {
  const gone = new Set<string>(addresses.map((address) => findResource(state, address).address));
  const kept = (address: ResourceAddress): boolean => !gone.has(address);
  return {
    ...state,
    resources: state.resources
      .filter(({ address }) => kept(address))
      .map((resource) => ({ ...resource, dependsOn: resource.dependsOn.filter(kept) })),
  };
}

function noResource(state: State, address: string): HaplanError {
  const nearest = nearestName(
    address,
    state.resources.map((resource) => resource.address),
  );
  const hint = nearest === null ? "" : `Did you mean "${nearest}"? `;
  return new HaplanError("state/no-resource", `The state has no resource "${address}"\n${hint}To list its resources:`, {
    commands: [["state", "list"]],
  });
}
