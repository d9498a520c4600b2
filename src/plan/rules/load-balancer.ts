/**
 * The load balancer and its backends: started once the control plane has a quorum, updated with every change of
 * masters.
 */

import { unknownAddresses } from "../../spec/address-reference.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import { asRequested, type ChangeReason } from "../change-reason.ts";
import type { ClusterView, FoundLoadBalancer } from "../cluster-view.ts";
import { type DesiredResource, loadBalancerAddress } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { type ResourceAddress, resourceAddress } from "../resource.ts";
import { changedAttributes, forcingAttributes, haveChanged, planMachine } from "./machines.ts";
import { isRequested } from "./requested-replacements.ts";
import type { WithCertificates } from "./stages.ts";
import { filesChanged, noteDeadUnit, planRunningUnit, whyUnitStartsAgain } from "./unit-condition.ts";

/**
 * One whose address is known only once it is made, and is in the masters' certificates, is made before all else, and serves
 * no member yet. Returns the id of that step.
 */
export function planLoadBalancerFirst({ spec, view, builder }: Planning): string | null {
  if (!hasUnknownAddress(spec) || view.loadBalancer !== null) return null;
  return builder.add({ kind: "startLoadBalancer", backends: [] }, [loadBalancerAddress]);
}

function hasUnknownAddress({ loadBalancer }: ClusterSpec): boolean {
  return unknownAddresses(loadBalancer.address).some((owner) => owner === loadBalancerAddress);
}

/** Returns the id of the step after which the load balancer serves the wanted masters; null if it does already. */
export function planLoadBalancer(planning: WithCertificates & { readonly createdFirst: string | null }): string | null {
  const { desired, view, certificates, endpoint, createdFirst, builder, spec, observed } = planning;
  const wanted = spec.controlPlane.masters.map((master) => master.name).sort();
  const resource = desired.find((candidate) => candidate.address === loadBalancerAddress)!;
  const hosts = desired.filter(
    ({ type, attributes }) => type === "haplan_machine" && attributes["role"] === "loadBalancer",
  );
  const stop = (): string | null =>
    builder.add({ kind: "stopLoadBalancer" }, [loadBalancerAddress], [builder.lastSerialStep]);
  const made = hosts
    .map((machine) => ({ machine, step: planMachine(planning, machine, stop) }))
    .filter(({ step }) => step !== null);
  warnOfMove(planning);
  const found = view.loadBalancer;
  const known = view.resources.get(loadBalancerAddress)?.attributes;
  const backends = desired.filter((candidate) => candidate.type === "haplan_lb_backend");
  const after = [...made.map(({ step }) => step), certificates.get(loadBalancerName) ?? null, builder.lastSerialStep];

  const [first] = made;
  if (found === null || first !== undefined) {
    planStart(
      planning,
      found === null || first === undefined ? null : builder.reasonFor(first.machine.address),
      backends,
      known !== undefined,
    );
    const kind = createdFirst === null ? "startLoadBalancer" : "updateLoadBalancer";
    return builder.add({ kind, backends: wanted }, addressesOf(backends), [...after, createdFirst]);
  }
  const changed = planBackends(
    planning,
    backends,
    observed.backends.map((backend) => backend.name),
  );
  const reason = whyChanged(resource, found, certificates.has(loadBalancerName), view);
  const forces = forcingAttributes(resource, view);
  if (hasUnknownAddress(spec) && (forces.length > 0 || isRequested(planning, loadBalancerAddress))) {
    refuseOtherAddress(planning);
    return null;
  }
  if (forces.length > 0) {
    builder.setAction(loadBalancerAddress, "deleteThenCreate", haveChanged(forces), forces);
    const stopped = builder.add({ kind: "stopLoadBalancer" }, [loadBalancerAddress], after);
    return builder.add({ kind: "startLoadBalancer", backends: wanted }, addressesOf(backends), [...after, stopped]);
  }
  if (!found.running) {
    builder.setAction(loadBalancerAddress, "update", found.onMachine ? "dead: its process is gone" : "it does not run");
    noteDeadUnit(loadBalancerAddress, "stopped", builder);
    return builder.add({ kind: "startLoadBalancer", backends: wanted }, [loadBalancerAddress, ...changed], after);
  }
  if (isRequested(planning, loadBalancerAddress)) {
    builder.setAction(loadBalancerAddress, "update", asRequested);
    const stopped = builder.add({ kind: "stopLoadBalancer" }, [loadBalancerAddress], after);
    const restart = { kind: "startLoadBalancer", backends: wanted } as const;
    return builder.add(restart, [loadBalancerAddress, ...changed], [...after, stopped]);
  }
  const settled = endpoint.settledBy;
  // Targets that are removed and added again leave it unchanged.
  if (reason === null && changed.length === 0) return settled;
  planRunningUnit(loadBalancerAddress, reason ?? "its masters have changed", builder);
  // The last step of the membership chain has already written the wanted configuration.
  if (settled !== null) return settled;
  return builder.add({ kind: "updateLoadBalancer", backends: wanted }, [loadBalancerAddress, ...changed], after);
}

function refuseOtherAddress({ builder }: Planning): void {
  builder.refuse(
    "plan/endpoint-replaced",
    "Another load balancer in its place would have another address",
    "Clients and the masters' certificates have to know that address before the present one is gone, which one plan cannot do. Write the present settings of the load balancer, and do not ask for its replacement; a load balancer beside it, with a cluster of its own, can take over its clients.",
    loadBalancerAddress,
  );
}

/** A cloud load balancer has no files of haplan's: its whole configuration is compared. */
function whyChanged(
  resource: DesiredResource,
  found: FoundLoadBalancer,
  issued: boolean,
  view: ClusterView,
): ReturnType<typeof whyUnitStartsAgain> {
  const known = view.resources.get(loadBalancerAddress)?.attributes;
  const changed = changedAttributes(resource, resource.changedInPlace, view);
  if (changed.length > 0) return haveChanged(changed);
  const reason = whyUnitStartsAgain(resource, found, known, issued);
  return reason === filesChanged && !found.onMachine ? "it was changed outside of haplan" : reason;
}

/**
 * Clients are not notified of a new address: they have to be reconfigured, and with TLS the former one fails before it
 * is gone.
 */
function warnOfMove({ spec, view, builder }: Planning): void {
  const present = view.loadBalancer?.address ?? view.machines.get(loadBalancerName)?.address;
  const wanted = spec.loadBalancer.address;
  if (present === undefined || present === wanted) return;
  const tls = spec.controlPlane.tls.enabled
    ? ` The masters' certificates contain ${wanted} instead of ${present}, so new connections through ${present} fail as soon as the first master has its new certificate.`
    : "";
  builder.warn(
    "plan/endpoint-moves",
    `The endpoint moves from ${present} to ${wanted}`,
    `Clients have to be given the new address; writes through the former one fail until then.${tls}`,
  );
}

/** `replaced`: why its machine is another one; null if it ran on none. */
function planStart(
  { view, builder }: Planning,
  replaced: ChangeReason | null,
  backends: readonly DesiredResource[],
  known: boolean,
): void {
  const reason = replaced ?? (known ? "it is gone" : null);
  builder.setAction(loadBalancerAddress, replaced !== null ? "deleteThenCreate" : "create", reason);
  for (const { address } of backends) {
    builder.setAction(
      address,
      replaced !== null && view.resources.has(address) ? "deleteThenCreate" : "create",
      reason,
    );
  }
}

function addressesOf(backends: readonly DesiredResource[]): readonly ResourceAddress[] {
  return [loadBalancerAddress, ...backends.map((backend) => backend.address)];
}

/** Plans each backend by what the load balancer serves; returns the changed addresses. */
function planBackends(
  { view, builder }: Planning,
  backends: readonly DesiredResource[],
  served: readonly string[],
): readonly ResourceAddress[] {
  const changed: ResourceAddress[] = [];
  for (const backend of backends) {
    const known = view.resources.get(backend.address);
    const retargeted = known !== undefined && known.attributes["target"] !== backend.attributes["target"];
    if (served.includes(backend.name) && !retargeted) continue;
    builder.setAction(backend.address, retargeted ? "update" : "create");
    changed.push(backend.address);
  }
  const wanted = new Set(backends.map((backend) => backend.name));
  for (const name of served) {
    if (wanted.has(name)) continue;
    const address = resourceAddress("haplan_lb_backend", name);
    builder.setAction(address, "delete", "its master leaves");
    changed.push(address);
  }
  return changed;
}
