/** Machines of the load balancer and of workers, which no quorum depends on. Those of masters are in masters.ts. */

import { sameJson } from "../../base/canonical-json.ts";
import { asRequested, type ChangeReason, unreachableReplaced } from "../change-reason.ts";
import { type ClusterView, generationOf } from "../cluster-view.ts";
import type { DesiredResource } from "../desired-resources.ts";
import { isAbandoned, whyUnreachable } from "../observed-cluster.ts";
import type { Planning } from "../planning.ts";
import { type Attributes, deposedAddress, type ResourceAddress, resourceAddress } from "../resource.ts";
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
  const { view, builder } = planning;
  const found = view.machines.get(resource.name);
  const address = String(resource.attributes["address"]);
  if (found === undefined) {
    builder.setAction(resource.address, "create", whyMissing(planning, resource));
    return builder.add(createMissing(planning, resource), [resource.address]);
  }
  const forces = found.address === address ? forcingAttributes(resource, view) : ["address"];
  if (forces.length === 0 && !isRequested(planning, resource.address)) return null;
  if (forces.length > 0) builder.setAction(resource.address, "deleteThenCreate", haveChanged(forces), forces);
  else builder.setAction(resource.address, "deleteThenCreate", asRequested);
  const destroyed = builder.add({ kind: "destroyMachine", machine: resource.name }, [resource.address], [stopFirst()]);
  return builder.add(createMachine(resource, found.generation + 1), [resource.address], [destroyed]);
}

/** Why a machine that was not found is created; null for one that never was. */
export function whyMissing({ observed, view }: Planning, { name, address }: DesiredResource): ChangeReason | null {
  if (!view.resources.has(address)) return null;
  return isAbandoned(observed, name) ? unreachableReplaced : "it is gone";
}

/** One that is replaced because it is unreachable may come back: the state keeps which host it is on. */
export function createMissing(
  { observed, view, builder }: Planning,
  resource: DesiredResource,
): ReturnType<typeof createMachine> & { abandons?: number } {
  const step = createMachine(resource, generationOf(view, resource.name) + 1);
  const known = view.resources.get(resource.address);
  const reason = whyUnreachable(observed.abandoned ?? [], resource.name);
  if (known === undefined || reason === null) return step;
  if (resource.replacedBy.every((name) => sameJson(known.attributes[name], resource.attributes[name]))) return step;
  builder.warn(
    "plan/left-behind",
    `What ${resource.address} has on its former host stays there`,
    `${reason}. The state keeps it as ${deposedAddress("haplan_machine", resource.name, known.generation)}: once that host answers, the next plan removes it.`,
  );
  return { ...step, abandons: known.generation };
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
export function forcingAttributes(resource: DesiredResource, view: ClusterView): readonly string[] {
  return changedAttributes(resource, resource.replacedBy, view).filter((name) => name !== "address");
}

/** Those of `names` whose values differ from the spec. */
export function changedAttributes(
  resource: DesiredResource,
  names: readonly string[],
  view: ClusterView,
): readonly string[] {
  const { type, name, attributes } = resource;
  const machine = type === "haplan_machine" ? view.machines.get(name) : undefined;
  const present = { ...recordedAttributes(resource, view), ...machine?.attributes, ...machine?.inOtherWords };
  return names.filter((each) => present[each] !== undefined && !sameJson(present[each], attributes[each]));
}

/** The attributes that the state has of a resource; empty if it does not have the resource. */
export function recordedAttributes(
  { address, optional }: Pick<DesiredResource, "address" | "optional">,
  view: ClusterView,
): Attributes {
  const known = view.resources.get(address)?.attributes;
  return known === undefined ? {} : { ...Object.fromEntries(optional.map((name) => [name, null])), ...known };
}

/** Those of `names` with the values that they have, as far as they are known. */
export function presentAttributes(resource: DesiredResource, names: readonly string[], view: ClusterView): Attributes {
  const present = { ...recordedAttributes(resource, view), ...view.machines.get(resource.name)?.attributes };
  return Object.fromEntries(names.flatMap((each) => (present[each] === undefined ? [] : [[each, present[each]]])));
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
