/** Machines of the load balancer and of workers, which no quorum depends on. Those of masters are in masters.ts. */

import { sameJson } from "../../base/canonical-json.ts";
import { asRequested } from "../change-reason.ts";
import type { DesiredResource } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { type Attributes, type ResourceAddress, resourceAddress } from "../resource.ts";
import { generationOf, type World } from "../world.ts";
import { isRequested } from "./requested-replacements.ts";

export function machineAddress(name: string): ResourceAddress {
  return resourceAddress("haplan_machine", name);
}

/**
 * Ensures that the machine exists, replacing it if its address has changed or if requested. Returns the step to wait
 * for, if any.
 */
export function planMachine(
  planning: Planning,
  resource: DesiredResource,
  stopFirst: () => string | null,
): string | null {
  const { world, draft } = planning;
  const found = world.machines.get(resource.name);
  const address = String(resource.attributes["address"]);
  if (found === undefined) {
    draft.judge(resource.address, "create", world.resources.has(resource.address) ? "it is gone" : null);
    return draft.add(createMachine(resource, generationOf(world, resource.name) + 1), [resource.address]);
  }
  const forces = found.address === address ? forcingAttributes(resource, world) : ["address"];
  if (forces.length === 0 && !isRequested(planning, resource.address)) return null;
  if (forces.length > 0) draft.judge(resource.address, "deleteThenCreate", haveChanged(forces), forces);
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
  attributes?: Attributes;
} {
  const zone = resource.attributes["zone"];
  const attributes = describedAttributes(resource);
  return {
    kind: "createMachine",
    machine: resource.name,
    address: String(resource.attributes["address"]),
    zone: typeof zone === "string" ? zone : null,
    generation,
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
  };
}

/** The provider's attributes of the machine, or of the load balancer. */
export function describedAttributes({ attributes, replacedBy, changedInPlace }: DesiredResource): Attributes {
  const described = new Set([...replacedBy, ...changedInPlace]);
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => described.has(name) && name !== "address"));
}

/** Attributes, besides the address, that force replacement; unknown former values do not. */
export function forcingAttributes(resource: DesiredResource, world: World): readonly string[] {
  return changedAttributes(resource, resource.replacedBy, world).filter((name) => name !== "address");
}

/** Those of `names` whose values differ from the spec. */
export function changedAttributes(
  { address, type, name, attributes }: DesiredResource,
  names: readonly string[],
  world: World,
): readonly string[] {
  const found = type === "haplan_machine" ? world.machines.get(name)?.attributes : undefined;
  const present = { ...world.resources.get(address)?.attributes, ...found };
  return names.filter((each) => present[each] !== undefined && !sameJson(present[each], attributes[each]));
}

/** `its type and its image have changed`. */
export function haveChanged(names: readonly string[]): string {
  return `${itsNamed(names)} ${names.length === 1 ? "has" : "have"} changed`;
}

/** `its type and its disk_gb`: under the names that plans show. */
export function itsNamed(names: readonly string[]): string {
  const shown = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return names.map((name) => `its ${shown(name)}`).join(" and ");
}
