/**
 * No two members have one address at the same time. If one leaves before the other joins, the plan orders the steps: a
 * master that follows another one to its address, that replaces one that leaves, or that has a new name at its old
 * address. What cannot be ordered is refused, with the way to do it.
 */

import type { Json } from "../../base/json.ts";
import { agentUnitName, loadBalancerUnitName } from "../../units/unit-definition.ts";
import { notInSpec } from "../change-reason.ts";
import { type ClusterView, type MemberView, machineOf, unitOf } from "../cluster-view.ts";
import { type DesiredResource, loadBalancerAddress } from "../desired-resources.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import type { WithMasters } from "./stages.ts";

export function checkOccupiedAddresses(planning: Planning): void {
  const { desired } = planning;
  const view = withoutSharedHosts(planning);
  if (view.phase !== "formed") return;
  const wanted = addressesOf(desired);
  for (const master of desired) {
    if (master.type !== "haplan_machine" || master.attributes["role"] !== "master") continue;
    const address = String(master.attributes["address"]);
    if (view.machines.get(master.name)?.address === address) continue;
    const holder = holderOf(address, master.name, wanted, view);
    if (holder === null || leavesFirst(master.name, holder, wanted, view)) continue;
    refuse(planning, master, address, holder, wanted.get(holder.name));
  }
}

/**
 * Without machines of load balancers that a master may be beside: they listen on different ports, or at a virtual address.
 */
function withoutSharedHosts({ spec, view: found }: Planning): ClusterView {
  const machines = [...found.machines].filter(
    ([name]) => (found.loadBalancers.get(name)?.virtualAddress ?? null) === null,
  );
  const view: ClusterView = { ...found, machines: new Map(machines) };
  const { clientPort, peerPort } = spec.controlPlane;
  const recorded = view.resources.get(loadBalancerAddress)?.attributes["ports"];
  const ports: readonly Json[] = Array.isArray(recorded) ? recorded : spec.loadBalancer.ports;
  if (ports.includes(clientPort) || ports.includes(peerPort)) return view;
  const onlyBalances = (machine: ObservedMachine): boolean =>
    unitOf(machine, agentUnitName) === undefined && unitOf(machine, loadBalancerUnitName) !== undefined;
  return { ...view, machines: new Map([...view.machines].filter(([, machine]) => !onlyBalances(machine))) };
}

function holderOf(
  address: string,
  name: string,
  wanted: ReadonlyMap<string, string>,
  view: ClusterView,
): ObservedMachine | null {
  const holds = (machine: ObservedMachine): boolean =>
    machine.name !== name && machine.address === address && listens(machine, wanted);
  return [...view.machines.values()].find(holds) ?? null;
}

/** Whether the plan removes the current holder before `name` starts; the other rules plan it this way. */
function leavesFirst(
  name: string,
  holder: ObservedMachine,
  wanted: ReadonlyMap<string, string>,
  view: ClusterView,
): boolean {
  if (unitOf(holder, agentUnitName) === undefined) return false;
  const healthy = (member: string): boolean =>
    view.members.some((each) => each.voter && each.healthy && !each.adopted && each.name === member);
  if (isNoMember(holder, wanted, view)) return true;
  const known = view.machines.has(name) || view.members.some((member) => member.name === name);
  // It does not vote, or no longer does: it is removed before anything is added.
  if (!wanted.has(holder.name) && !view.members.some((each) => each.voter && each.name === holder.name)) return true;
  // It is renamed. Or it has left by the time at which the others move.
  if (!wanted.has(holder.name)) return known ? healthy(name) : healthy(holder.name);
  // New members join before the others move: the current holder of their address is still there.
  if (!healthy(name)) return false;
  return isVacated(holder, [name], wanted, view);
}

/** A member left running by an interrupted apply; its address is freed before anything else is done. */
function isNoMember(machine: ObservedMachine, wanted: ReadonlyMap<string, string>, view: ClusterView): boolean {
  if (wanted.has(machine.name) || view.membersRemembered || view.members.length === 0) return false;
  return unitOf(machine, agentUnitName) !== undefined && !view.members.some(({ name }) => name === machine.name);
}

/**
 * Machines of former members, and of learners that are no longer in the spec, at addresses of masters: a master that is
 * down is started there before such a learner is removed. Returns their names.
 */
export function clearAddresses({ desired, view, masterChanges, builder }: WithMasters): ReadonlySet<string> {
  const { orphanedLearners } = masterChanges;
  const wanted = addressesOf(desired);
  const places = new Set(wanted.values());
  const cleared = new Set<string>();
  for (const machine of view.machines.values()) {
    if (!places.has(machine.address)) continue;
    const onIt = (learner: MemberView): boolean =>
      learner.name === machine.name && machineOf(view, learner) === machine;
    const stray = !wanted.has(machine.name) && orphanedLearners.some(onIt);
    if (!stray && !isNoMember(machine, wanted, view)) continue;
    const [agent, own] = [
      resourceAddress("haplan_agent", machine.name),
      resourceAddress("haplan_machine", machine.name),
    ];
    const reason = stray ? notInSpec : "it is no longer a member";
    for (const address of [agent, own]) builder.setAction(address, "delete", reason);
    builder.chain({ kind: "stopAgent", member: machine.name }, [agent]);
    builder.chain({ kind: "destroyMachine", machine: machine.name }, [own]);
    cleared.add(machine.name);
  }
  return cleared;
}

/** The addresses of the spec's machines, by name. */
function addressesOf(desired: readonly DesiredResource[]): ReadonlyMap<string, string> {
  const machines = desired.filter(({ type }) => type === "haplan_machine");
  return new Map(machines.map(({ name, attributes }) => [name, String(attributes["address"])]));
}

/** Whether the holder moves to an address that is free by then. */
function isVacated(
  holder: ObservedMachine,
  before: readonly string[],
  wanted: ReadonlyMap<string, string>,
  view: ClusterView,
): boolean {
  const place = wanted.get(holder.name);
  if (place === undefined) return true;
  if (place === holder.address || before.includes(holder.name)) return false;
  const next = holderOf(place, holder.name, wanted, view);
  return (
    next === null ||
    (unitOf(next, agentUnitName) !== undefined && isVacated(next, [...before, holder.name], wanted, view))
  );
}

/** Members and load balancers listen; a master that is down and stays one is started where it is. */
function listens(machine: ObservedMachine, wanted: ReadonlyMap<string, string>): boolean {
  const agent = unitOf(machine, agentUnitName);
  if (agent !== undefined) return agent.running || wanted.has(machine.name);
  return unitOf(machine, loadBalancerUnitName)?.running === true;
}

function refuse(
  { view, builder }: Planning,
  { name, address: resource }: DesiredResource,
  address: string,
  holder: ObservedMachine,
  holderGoesTo: string | undefined,
): void {
  builder.refuse(
    "plan/address-occupied",
    `${name} cannot start at ${address}, where ${holder.name} still runs`,
    wayOut(name, address, holder, holderGoesTo, view),
    resource,
  );
}

function wayOut(
  name: string,
  address: string,
  holder: ObservedMachine,
  holderGoesTo: string | undefined,
  view: ClusterView,
): string {
  if (holderGoesTo === undefined) {
    return `${holder.name} leaves only once ${name} votes, so both run for a while. Keep the name ${holder.name}, or give ${name} a free address; once that is applied, ${address} is free and ${name} can move there with another apply.`;
  }
  if (view.machines.get(name)?.address !== holderGoesTo) {
    return `Move ${holder.name} first and apply, then move ${name} to its address.`;
  }
  return `They cannot swap addresses in one step. Move ${holder.name} to a free address and apply, then ${name} to ${address} and apply, then ${holder.name} to ${holderGoesTo}.`;
}
