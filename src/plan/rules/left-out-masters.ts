/**
 * With `-target`, masters that it does not name stay as they are: what one master gets needs no change of another one. A change of the
 * membership that several masters share, and the replacement of the certificate authority, are still planned as a whole.
 */
import { isUnreachable } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";
import type { KeptMaster } from "./masters.ts";

/** The resources of a master that change together. */
export function ownAddresses(name: string): readonly [ResourceAddress, ResourceAddress, ResourceAddress] {
  return [
    resourceAddress("haplan_raft_member", name),
    resourceAddress("haplan_agent", name),
    resourceAddress("haplan_machine", name),
  ];
}

/** Whether `-target` names a master that exists, and not this one. */
export function isUntargeted({ target = [], mode, view, restore }: Planning, name: string): boolean {
  if (mode !== "apply" || restore !== undefined) return false;
  const masters = [...view.machines.keys()].filter((each) =>
    view.resources.has(resourceAddress("haplan_raft_member", each)),
  );
  const named = masters.filter((each) => ownAddresses(each).some((address) => target.includes(address)));
  return named.length > 0 && masters.includes(name) && !named.includes(name);
}

/** Whether this plan leaves the change of a master out. One that is down is brought back all the same, and one that moves is not alone in it. */
export function isLeftOut(planning: Planning, { name, kind, voter, condition }: KeptMaster): boolean {
  const { observed, view, spec, replaceAuthority = false } = planning;
  if (!isUntargeted(planning, name) || isUnreachable(view, name)) return false;
  const { authority } = observed;
  if (replaceAuthority || authority?.next !== undefined || authority?.previous !== undefined) return false;
  const wanted = spec.controlPlane.masters.find((each) => each.name === name)?.address;
  const stays = voter.name === name && view.machines.get(name)?.address === wanted;
  return kind !== "move" && condition === "healthy" && stays;
}
