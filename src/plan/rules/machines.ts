/** Machines of the load balancer and of workers, which hold nothing that a quorum depends on. Masters' are in masters.ts. */

import { asRequested } from "../change-reason.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { PlanDraft } from "../plan-draft.ts";
import type { PlannerInput } from "../planner-input.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";
import { generationOf, type World } from "../world.ts";
import { isRequested } from "./requested-replacements.ts";

export function machineAddress(name: string): ResourceAddress {
  return resourceAddress("haplan_machine", name);
}

/** Makes sure that the machine is there, replacing it when its address has changed or it is asked for. Returns the step to wait for, if any. */
export function planMachine(
  input: PlannerInput,
  resource: DesiredResource,
  world: World,
  draft: PlanDraft,
  stopFirst: () => string | null,
): string | null {
  const found = world.machines.get(resource.name);
  const address = String(resource.attributes["address"]);
  if (found === undefined) {
    draft.judge(resource.address, "create", world.resources.has(resource.address) ? "it is gone" : null);
    return draft.add(createMachine(resource, generationOf(world, resource.name) + 1), [resource.address]);
  }
  const moves = found.address !== address;
  if (!moves && !isRequested(input, resource.address)) return null;
  if (moves) draft.judge(resource.address, "deleteThenCreate", "its address has changed", ["address"]);
  else draft.judge(resource.address, "deleteThenCreate", asRequested);
  const destroyed = draft.add({ kind: "destroyMachine", machine: resource.name }, [resource.address], [stopFirst()]);
  return draft.add(createMachine(resource, found.generation + 1), [resource.address], [destroyed]);
}

export function createMachine(
  resource: DesiredResource,
  generation: number,
): {
  kind: "createMachine";
  machine: string;
  address: string;
  zone: string | null;
  generation: number;
} {
  const zone = resource.attributes["zone"];
  return {
    kind: "createMachine",
    machine: resource.name,
    address: String(resource.attributes["address"]),
    zone: typeof zone === "string" ? zone : null,
    generation,
  };
}
