/**
 * Two members never stand at one address at the same time. A master that is to stand where another one still runs is
 * refused, with the way: what is there can only leave once the newcomer votes, so the newcomer needs a free address.
 */
import { agentUnitName, loadBalancerUnitName } from "../../units/unit-definition.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { ObservedMachine } from "../observed-cluster.ts";
import type { PlanDraft } from "../plan-draft.ts";
import { unitOf, type World } from "../world.ts";

export function checkOccupiedAddresses(desired: readonly DesiredResource[], world: World, draft: PlanDraft): void {
  if (world.phase !== "formed") return;
  const wanted = new Map(
    desired
      .filter(({ type }) => type === "haplan_machine")
      .map(({ name, attributes }) => [name, String(attributes["address"])]),
  );
  for (const master of desired) {
    if (master.type !== "haplan_machine" || master.attributes["role"] !== "master") continue;
    const address = String(master.attributes["address"]);
    if (world.machines.get(master.name)?.address === address) continue;
    const holder = [...world.machines.values()].find(
      (machine) => machine.name !== master.name && machine.address === address && listens(machine, wanted),
    );
    if (holder !== undefined) refuse(master, address, holder, wanted.get(holder.name), world, draft);
  }
}

/** Members and load balancers listen; a master that is down and stays one is started where it is. */
function listens(machine: ObservedMachine, wanted: ReadonlyMap<string, string>): boolean {
  const agent = unitOf(machine, agentUnitName);
  if (agent !== undefined) return agent.running || wanted.has(machine.name);
  return unitOf(machine, loadBalancerUnitName)?.running === true;
}

function refuse(
  { name, address: resource }: DesiredResource,
  address: string,
  holder: ObservedMachine,
  holderGoesTo: string | undefined,
  world: World,
  draft: PlanDraft,
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
  const order = `Move ${holder.name} first and apply, then move ${name}`;
  if (world.machines.get(name)?.address !== holderGoesTo) return `${order}.`;
  return `They cannot change places in one step. Move ${holder.name} to a free address and apply, then ${name} to ${address} and apply, then ${holder.name} to ${holderGoesTo}.`;
}
