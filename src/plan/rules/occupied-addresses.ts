/**
 * Two members never stand at one address at the same time. Where one leaves before the other comes, the plan sees to the
 * order: a master that follows another one to its place, that takes the place of one that leaves, or that has a new name
 * in its old place. What cannot be put in an order is refused, with the way in which it can be done.
 */

import { agentUnitName, loadBalancerUnitName } from "../../units/unit-definition.ts";
import { notInSpec } from "../change-reason.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { type MemberFact, machineOf, unitOf, type World } from "../world.ts";
import type { WithMasters } from "./stages.ts";

export function checkOccupiedAddresses(planning: Planning): void {
  const { desired, world } = planning;
  if (world.phase !== "formed") return;
  const wanted = addressesOf(desired);
  for (const master of desired) {
    if (master.type !== "haplan_machine" || master.attributes["role"] !== "master") continue;
    const address = String(master.attributes["address"]);
    if (world.machines.get(master.name)?.address === address) continue;
    const holder = holderOf(address, master.name, wanted, world);
    if (holder === null || leavesFirst(master.name, holder, wanted, world)) continue;
    refuse(planning, master, address, holder, wanted.get(holder.name));
  }
}

function holderOf(
  address: string,
  name: string,
  wanted: ReadonlyMap<string, string>,
  world: World,
): ObservedMachine | null {
  const holds = (machine: ObservedMachine): boolean =>
    machine.name !== name && machine.address === address && listens(machine, wanted);
  return [...world.machines.values()].find(holds) ?? null;
}

/** Whether the plan has the one that is there leave before `name` comes; the other rules plan it like this. */
function leavesFirst(
  name: string,
  holder: ObservedMachine,
  wanted: ReadonlyMap<string, string>,
  world: World,
): boolean {
  if (unitOf(holder, agentUnitName) === undefined) return false;
  const healthy = (member: string): boolean =>
    world.members.some((each) => each.voter && each.healthy && !each.adopted && each.name === member);
  if (isNoMember(holder, wanted, world)) return true;
  const known = world.machines.has(name) || world.members.some((member) => member.name === name);
  // It does not vote, or no more: it is forgotten before anything is added.
  if (!wanted.has(holder.name) && !world.members.some((each) => each.voter && each.name === holder.name)) return true;
  // It is renamed. Or it has left by the time at which the others move.
  if (!wanted.has(holder.name)) return known ? healthy(name) : healthy(holder.name);
  // Newcomers join before the others move: what is to be vacated for them still stands there.
  if (!healthy(name)) return false;
  return isVacated(holder, [name], wanted, world);
}

/** What an apply that was cut off has left running: it was a member, and makes room before anything else is done. */
function isNoMember(machine: ObservedMachine, wanted: ReadonlyMap<string, string>, world: World): boolean {
  if (wanted.has(machine.name) || world.membersRemembered || world.members.length === 0) return false;
  return unitOf(machine, agentUnitName) !== undefined && !world.members.some(({ name }) => name === machine.name);
}

/**
 * Machines of former members, and of learners that the spec no longer asks for, at addresses where masters are to stand:
 * a master that is down is started there before such a learner is forgotten. Returns their names.
 */
export function clearAddresses({ desired, world, outlook, draft }: WithMasters): ReadonlySet<string> {
  const { strayLearners } = outlook;
  const wanted = addressesOf(desired);
  const places = new Set(wanted.values());
  const cleared = new Set<string>();
  for (const machine of world.machines.values()) {
    if (!places.has(machine.address)) continue;
    const onIt = (learner: MemberFact): boolean =>
      learner.name === machine.name && machineOf(world, learner) === machine;
    const stray = !wanted.has(machine.name) && strayLearners.some(onIt);
    if (!stray && !isNoMember(machine, wanted, world)) continue;
    const [agent, own] = [
      resourceAddress("haplan_agent", machine.name),
      resourceAddress("haplan_machine", machine.name),
    ];
    const reason = stray ? notInSpec : "it is no member any more";
    for (const address of [agent, own]) draft.judge(address, "delete", reason);
    draft.chain({ kind: "stopAgent", member: machine.name }, [agent]);
    draft.chain({ kind: "destroyMachine", machine: machine.name }, [own]);
    cleared.add(machine.name);
  }
  return cleared;
}

/** Where the machines of the spec are to be, by name. */
function addressesOf(desired: readonly DesiredResource[]): ReadonlyMap<string, string> {
  const machines = desired.filter(({ type }) => type === "haplan_machine");
  return new Map(machines.map(({ name, attributes }) => [name, String(attributes["address"])]));
}

/** Whether what stands there moves to a place that is free by then. */
function isVacated(
  holder: ObservedMachine,
  before: readonly string[],
  wanted: ReadonlyMap<string, string>,
  world: World,
): boolean {
  const place = wanted.get(holder.name);
  if (place === undefined) return true;
  if (place === holder.address || before.includes(holder.name)) return false;
  const next = holderOf(place, holder.name, wanted, world);
  return (
    next === null ||
    (unitOf(next, agentUnitName) !== undefined && isVacated(next, [...before, holder.name], wanted, world))
  );
}

/** Members and load balancers listen; a master that is down and stays one is started where it is. */
function listens(machine: ObservedMachine, wanted: ReadonlyMap<string, string>): boolean {
  const agent = unitOf(machine, agentUnitName);
  if (agent !== undefined) return agent.running || wanted.has(machine.name);
  return unitOf(machine, loadBalancerUnitName)?.running === true;
}

function refuse(
  { world, draft }: Planning,
  { name, address: resource }: DesiredResource,
  address: string,
  holder: ObservedMachine,
  holderGoesTo: string | undefined,
): void {
  draft.refuse(
    "plan/address-occupied",
    `${name} is to stand at ${address}, where ${holder.name} still runs`,
    wayOut(name, address, holder, holderGoesTo, world),
    resource,
  );
}

function wayOut(
  name: string,
  address: string,
  holder: ObservedMachine,
  holderGoesTo: string | undefined,
  world: World,
): string {
  if (holderGoesTo === undefined) {
    return `${holder.name} leaves only once ${name} votes, so both run for a while. Keep the name ${holder.name}, or give ${name} a free address; once that is applied, ${address} is free and ${name} can move there by another apply.`;
  }
  if (world.machines.get(name)?.address !== holderGoesTo) {
    return `Move ${holder.name} first and apply, then put ${name} in its place.`;
  }
  return `They cannot change places in one step. Move ${holder.name} to a free address and apply, then ${name} to ${address} and apply, then ${holder.name} to ${holderGoesTo}.`;
}
