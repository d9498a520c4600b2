/**
 * The load balancers and their backends: started once the control plane has a quorum, updated with every change of
 * masters.
 */

import { unknownAddresses } from "../../spec/address-reference.ts";
import type { ClusterSpec } from "../../spec/cluster-spec.ts";
import type { LoadBalancerTargets } from "../../units/load-balancer-targets.ts";
import { loadBalancerConfigDigest, loadBalancerName } from "../../units/load-balancer-unit.ts";
import { asRequested, type ChangeReason, notInSpec, processGone } from "../change-reason.ts";
import { type ClusterView, type FoundLoadBalancer, isUnreachable } from "../cluster-view.ts";
import { type DesiredResource, loadBalancerAddress } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { type Attributes, type ResourceAddress, resourceAddress } from "../resource.ts";
import type { FollowedCluster } from "../restore-request.ts";
import { balancerNames, named, presentAddress } from "./endpoint.ts";
import { changedAttributes, forcingAttributes, haveChanged, machineAddress, planMachine } from "./machines.ts";
import { isRequested } from "./requested-replacements.ts";
import type { WithCertificates } from "./stages.ts";
import {
  changedOutsideReason,
  noteDeadUnit,
  planRunningUnit,
  processGoneReason,
  whyUnitStartsAgain,
} from "./unit-condition.ts";

/**
 * One whose address is known only once it is made, and is in the masters' certificates, is made before all else, and serves
 * no member yet. Returns the id of that step.
 */
export function planLoadBalancerFirst({ spec, view, builder }: Planning): string | null {
  if (!hasUnknownAddress(spec) || view.loadBalancers.size > 0) return null;
  return builder.add({ kind: "startLoadBalancer", backends: [] }, [loadBalancerAddress]);
}

function hasUnknownAddress({ loadBalancer }: ClusterSpec): boolean {
  return unknownAddresses(loadBalancer.address).some((owner) => owner === loadBalancerAddress);
}

type WithFirst = WithCertificates & {
  /** The step that made the load balancer before all else; null if none did. */
  readonly createdFirst: string | null;
  /** The steps that start dead ones before the membership changes, by name. */
  readonly revived: ReadonlyMap<string, string>;
};

/** What the load balancers of a plan share. */
type Change = {
  /** All masters of the spec. */
  readonly targets: LoadBalancerTargets;
  /** Resources of all targets, and of those that change. */
  readonly backends: readonly DesiredResource[];
  readonly changed: readonly ResourceAddress[];
  /** Whether one is there while another is made: else the first start adds all targets. */
  readonly serving: boolean;
  /** Steps that the first one waits for. */
  readonly after: readonly (string | null)[];
};

/** Returns the id of the step after which the load balancers serve the wanted masters; null if they do already. */
export function planLoadBalancers(planning: WithFirst): string | null {
  const { desired, view, builder, endpoint, observed } = planning;
  const names = balancerNames(desired);
  // It serves the cluster that is followed, and gets the spec's targets after the switch.
  if (planning.restore?.follows !== undefined && [...view.loadBalancers.values()].some(({ running }) => running)) {
    builder.leaveAsRecorded(names.map((name) => resourceAddress("haplan_load_balancer", name)));
    return null;
  }
  if (names.length > 1 && names.every((name) => isUnreachable(view, name))) return null;
  const backends = desired.filter((candidate) => candidate.type === "haplan_lb_backend");
  warnOfMove(planning);
  const removedFirst = removeBalancers(planning, names, "first");
  const found = [...view.loadBalancers.keys()];
  const serving = found.some((name) => !names.includes(name) || !remakesMachine(planning, name));
  const served = observed.backends.map((backend) => backend.name);
  const change: Change = {
    targets: endpoint.final,
    backends,
    serving,
    changed: serving ? planBackends(planning, backends, served) : [],
    after: [builder.lastSerialStep, removedFirst],
  };
  // The others serve while one is changed. The first of the list, the first to have a virtual address, comes last.
  const present = names.filter((name) => view.loadBalancers.has(name)).reverse();
  const moving = movingHolders(planning, present);
  const staying = present.filter((name) => !moving.includes(name));
  const made = names.filter((name) => !view.loadBalancers.has(name));
  // As one that leaves: a holder that the others no longer know would take the address as well.
  const machines = new Map(moving.map((name) => [name, planOwnMachine(planning, name, change.after)]));
  let last: string | null = null;
  for (const name of [...staying, ...moving, ...made]) {
    const stopped = [...machines.values()].map((each) => each.stopped);
    const own: Change = { ...change, after: [...change.after, ...stopped, last] };
    const { made: machine } = machines.get(name) ?? planOwnMachine(planning, name, own.after);
    last = planLoadBalancer(planning, name, machine, own) ?? last;
  }
  return removeBalancers(planning, names, "last", last) ?? last;
}

/** Those of a virtual address that stays whose machines are made on other hosts, while others of it serve. */
function movingHolders(planning: Planning, present: readonly string[]): readonly string[] {
  const { spec, view } = planning;
  if (spec.loadBalancer.virtual === undefined) return [];
  const moving = present.filter((name) => remakesMachine(planning, name) && !movesAddress(planning, name));
  const serves = (name: string): boolean => !moving.includes(name) && view.loadBalancers.get(name)!.running;
  return present.some(serves) ? moving : [];
}

type OwnMachine = {
  /** The step that makes it, again or for the first time; null if it stays. */
  readonly made: string | null;
  /** The step that stops the load balancer before; null if there is none. */
  readonly stopped: string | null;
};

function planOwnMachine(planning: Planning, name: string, after: Change["after"]): OwnMachine {
  const { desired, builder } = planning;
  const machine = desired.find((candidate) => candidate.address === machineAddress(name));
  if (machine === undefined) return { made: null, stopped: null };
  let stopped: string | null = null;
  const stop = (): string | null => {
    const address = resourceAddress("haplan_load_balancer", name);
    const step = { kind: "stopLoadBalancer", ...named(name) } as const;
    stopped = builder.add(step, [address], [...after, builder.lastSerialStep]);
    return stopped;
  };
  return { made: planMachine(planning, machine, stop), stopped };
}

/** Returns the id of its last step; null if it stays as it is. */
function planLoadBalancer(planning: WithFirst, name: string, made: string | null, change: Change): string | null {
  const { desired, view, certificates, endpoint, createdFirst, builder, spec } = planning;
  const { targets: masters, backends, changed, serving } = change;
  const address = resourceAddress("haplan_load_balancer", name);
  const balancer = named(name);
  const resource = desired.find((candidate) => candidate.address === address)!;
  const machine = desired.find((candidate) => candidate.address === machineAddress(name));
  const found = view.loadBalancers.get(name) ?? null;
  const known = view.resources.get(address)?.attributes;
  const after = [made, certificates.get(name) ?? null, ...change.after];
  const targets = targetsFollowed(spec, planning.restore?.follows) ?? masters;
  const start = { kind: "startLoadBalancer", ...balancer, ...targets } as const;
  if (found === null || made !== null) {
    const replaced = found === null || made === null ? null : builder.reasonFor(machine!.address);
    const reason = replaced ?? (known === undefined ? null : "it is gone");
    builder.setAction(address, replaced !== null ? "deleteThenCreate" : "create", reason);
    const served = serving ? changed : planFirstTargets(planning, backends, replaced, reason);
    const kind = createdFirst === null ? "startLoadBalancer" : "updateLoadBalancer";
    return builder.add({ ...start, kind }, [address, ...served], [...after, createdFirst]);
  }
  const forces = forcingAttributes(resource, view);
  if (hasUnknownAddress(spec) && (forces.length > 0 || isRequested(planning, address))) {
    refuseOtherAddress(planning);
    return null;
  }
  if (forces.length > 0) {
    builder.setAction(address, "deleteThenCreate", haveChanged(forces), forces);
    const stopped = builder.add({ kind: "stopLoadBalancer", ...balancer }, [address], after);
    const all = backends.map((backend) => backend.address);
    return builder.add(start, [address, ...all], [...after, stopped]);
  }
  if (!found.running) {
    builder.setAction(
      address,
      "update",
      found.onMachine ? processGoneReason(found) : { ...processGone, text: "it does not run" },
    );
    noteDeadUnit(address, "stopped", builder);
    return builder.add(start, [address, ...changed], after);
  }
  if (isRequested(planning, address)) {
    builder.setAction(address, "update", asRequested);
    const stopped = builder.add({ kind: "stopLoadBalancer", ...balancer }, [address], after);
    return builder.add(start, [address, ...changed], [...after, stopped]);
  }
  const moves = movesAddress(planning, name);
  const settled = moves ? null : endpoint.settledBy;
  const written = asWritten(planning.spec, resource, masters);
  const moved = moves && known === undefined ? haveChanged(["address"]) : null;
  const revived = planning.revived.get(name) ?? null;
  // One that was started before is as the spec has it, but for its targets.
  const reason = revived === null ? (moved ?? whyChanged(written, found, certificates.has(name), view)) : null;
  // Targets that are removed and added again leave it unchanged.
  if (reason === null && changed.length === 0) {
    // Its configuration is the spec's once all masters are at their addresses.
    if (masters.formerTargets !== undefined) builder.leaveAsRecorded([address]);
    return settled ?? revived;
  }
  if (revived === null) planRunningUnit(address, reason ?? "its masters have changed", builder);
  // The last step of the membership chain has already written the wanted configuration.
  if (settled !== null) return settled;
  return builder.add({ ...start, kind: "updateLoadBalancer" }, [address, ...changed], [...after, revived]);
}

/** The members of a cluster that is followed, which are no masters of the spec. */
function targetsFollowed(spec: ClusterSpec, follows: FollowedCluster | undefined): LoadBalancerTargets | null {
  if (follows === undefined) return null;
  const { engine, targets } = follows;
  const followed = { backends: Object.keys(targets).sort(), formerTargets: targets, engine };
  // Its clients are held when they are moved.
  return spec.loadBalancer.type === "haproxy" ? { ...followed, throughRelay: true } : followed;
}

/** Whether it has another address for clients than before, on the same machine. */
export function movesAddress(planning: Planning, name: string): boolean {
  const { spec, view } = planning;
  const isVirtual = view.loadBalancers.get(name)?.hasVirtualAddress === true || spec.loadBalancer.virtual !== undefined;
  return isVirtual && presentAddress(planning, name) !== spec.loadBalancer.address;
}

/** Whether its machine is made again by this plan, and it with it. */
export function remakesMachine(planning: Planning, name: string): boolean {
  const { desired, view } = planning;
  const machine = desired.find((candidate) => candidate.address === machineAddress(name));
  if (machine === undefined) return false;
  const found = view.machines.get(name);
  const moves = found?.address !== machine.attributes["address"];
  return moves || forcingAttributes(machine, view).length > 0 || isRequested(planning, machine.address);
}

/** Targets of load balancers that are all made. Returns their addresses; the first of several has planned them already. */
function planFirstTargets(
  { view, builder }: Planning,
  backends: readonly DesiredResource[],
  replaced: ChangeReason | null,
  reason: ChangeReason | null,
): readonly ResourceAddress[] {
  for (const { address } of backends) {
    if (builder.actions.has(address)) continue;
    const isReplaced = replaced !== null && view.resources.has(address);
    builder.setAction(address, isReplaced ? "deleteThenCreate" : "create", reason);
  }
  return backends.map(({ address }) => address);
}

/**
 * Load balancers that are no longer in the spec. `first`: of a virtual address that stays: its group never has a holder that
 * the others do not know. `last`: of another address, which serves until the wanted ones do.
 */
function removeBalancers(
  planning: Planning,
  wanted: readonly string[],
  when: "first" | "last",
  after: string | null = null,
): string | null {
  const { view, builder, spec } = planning;
  const known = [...view.resources.values()].filter(({ type }) => type === "haplan_load_balancer");
  const names = new Set([...view.loadBalancers.keys(), ...known.map(({ name }) => name)]);
  const leaving = [...names].filter((name) => {
    const isOfGroup = presentAddress(planning, name) === spec.loadBalancer.address;
    return view.machines.has(name) && !wanted.includes(name) && isOfGroup === (when === "first");
  });
  const remade = wanted.filter((name) => view.loadBalancers.has(name) && remakesMachine(planning, name));
  const stays = wanted.some((name) => view.loadBalancers.get(name)?.running && !remade.includes(name));
  const isOfVirtual = spec.loadBalancer.virtual !== undefined && !wanted.some((name) => movesAddress(planning, name));
  if (when === "first" && !stays && (leaving.length > 0 || (isOfVirtual && remade.length > 0))) {
    builder.warn(
      "plan/vip-interrupted",
      `No load balancer has ${spec.loadBalancer.address} for a few seconds`,
      "None of the present hosts stays. To change hosts without an interruption, keep one of them until the next apply.",
    );
  }
  let last: string | null = null;
  for (const name of leaving) {
    const address = resourceAddress("haplan_load_balancer", name);
    builder.setAction(address, "delete", notInSpec);
    const stop = { kind: "stopLoadBalancer", ...named(name) } as const;
    const stopped = builder.add(stop, [address], [after, last, builder.lastSerialStep]);
    builder.setAction(machineAddress(name), "delete", notInSpec);
    builder.add({ kind: "destroyMachine", machine: name }, [machineAddress(name)], [stopped]);
    last = stopped ?? last;
  }
  return last;
}

function refuseOtherAddress({ builder }: Planning): void {
  builder.refuse(
    "plan/endpoint-replaced",
    "Another load balancer in its place would have another address",
    "Clients and the masters' certificates have to know that address before the present one is gone, which one plan cannot do. Write the present settings of the load balancer, and do not ask for its replacement; a load balancer beside it, with a cluster of its own, can take over its clients.",
    loadBalancerAddress,
  );
}

/** The resource as this plan leaves it: masters that wait for a later plan keep their targets. */
function asWritten(spec: ClusterSpec, resource: DesiredResource, targets: LoadBalancerTargets): DesiredResource {
  if (targets.formerTargets === undefined) return resource;
  const configDigest = loadBalancerConfigDigest(spec, targets);
  return { ...resource, attributes: { ...resource.attributes, configDigest } };
}

/** A cloud load balancer has no files of haplan's: its whole configuration is compared. */
function whyChanged(
  resource: DesiredResource,
  found: FoundLoadBalancer,
  issued: boolean,
  view: ClusterView,
): ReturnType<typeof whyUnitStartsAgain> {
  const known = view.resources.get(resource.address)?.attributes;
  const changed = changedAttributes(resource, resource.changedInPlace, view);
  if (changed.length > 0) return haveChanged(changed);
  const reason = whyUnitStartsAgain(resource, found, known, issued) ?? whyVirtualAddressDiffers(resource, found, known);
  return reason === changedOutsideReason(found) && !found.onMachine ? "it was changed outside of haplan" : reason;
}

/** Of the unit beside it. */
function whyVirtualAddressDiffers(
  { attributes }: DesiredResource,
  { virtualAddress }: FoundLoadBalancer,
  known: Attributes | undefined,
): string | null {
  if (attributes["routerId"] === undefined) return null;
  if (virtualAddress === null) return "keepalived is gone";
  const written = known?.["virtualAddressDigest"];
  return typeof written === "string" && virtualAddress.definitionDigest !== written
    ? changedOutsideReason(virtualAddress)
    : null;
}

/**
 * Clients are not notified of a new address: they have to be reconfigured, and with TLS the former one fails before it
 * is gone.
 */
function warnOfMove(planning: Planning): void {
  const { spec, view, builder } = planning;
  const found = [...view.loadBalancers.keys()].map((name) => presentAddress(planning, name));
  const present = found.includes(spec.loadBalancer.address)
    ? spec.loadBalancer.address
    : (found[0] ?? view.machines.get(loadBalancerName)?.address);
  const wanted = spec.loadBalancer.address;
  if (present === undefined || present === wanted) return;
  const { enabled, extraNames = [] } = spec.controlPlane.tls;
  const tls =
    enabled && !extraNames.includes(present)
      ? ` The masters' certificates contain ${wanted} instead of ${present}, so new connections through ${present} fail as soon as the first master has its new certificate. To avoid that, apply tls.extraNames with both addresses first.`
      : "";
  builder.warn(
    "plan/endpoint-moves",
    `The endpoint moves from ${present} to ${wanted}`,
    `Clients have to be given the new address; writes through the former one fail until then.${tls}`,
  );
}

/** Plans each backend by what the load balancer serves; returns the changed addresses. */
function planBackends(
  { view, builder, endpoint }: WithCertificates,
  backends: readonly DesiredResource[],
  served: readonly string[],
): readonly ResourceAddress[] {
  const changed: ResourceAddress[] = [];
  for (const backend of backends) {
    const known = view.resources.get(backend.address);
    const retargeted =
      !endpoint.isKept(backend.name) &&
      known !== undefined &&
      known.attributes["target"] !== backend.attributes["target"];
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
