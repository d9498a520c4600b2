/**
 * Load balancers that are dead are started before the membership changes: until then clients have no endpoint, and new members may
 * take long to catch up.
 */
import type { ClusterView } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";
import { backendsOf, balancerNames, named, toldTargets, wantedTargets } from "./endpoint.ts";
import type { IssuedCertificates } from "./issued-certificates.ts";
import { movesAddress, remakesMachine } from "./load-balancer.ts";
import { forcingAttributes } from "./machines.ts";
import { isRequested } from "./requested-replacements.ts";
import { noteDeadUnit, processGoneReason } from "./unit-condition.ts";

/** The steps that start them, by name. */
export type RevivedBalancers = ReadonlyMap<string, string>;

/** With their present targets; what else changes of them, such as the targets, follows as for one that runs. */
export function reviveBalancers(planning: Planning, certificates: IssuedCertificates): RevivedBalancers {
  const { spec, desired, view, builder } = planning;
  const told = toldTargets(planning);
  const revived = new Map<string, string>();
  // Without a quorum there is nothing that it could serve: members are first.
  if (view.phase !== "formed" || !view.hasLeader || told.size === 0 || isGroupChanged(planning)) return revived;
  const targets = backendsOf(told, wantedTargets(spec));
  for (const name of balancerNames(desired)) {
    const found = view.loadBalancers.get(name);
    if (found === undefined || !isRevivable(planning, name)) continue;
    const address = resourceAddress("haplan_load_balancer", name);
    const start = { kind: "startLoadBalancer", ...named(name), ...targets } as const;
    const step = builder.add(start, [address], [certificates.get(name) ?? null]);
    if (step === null) continue;
    builder.setAction(address, "update", processGoneReason(found));
    noteDeadUnit(address, "stopped", builder);
    revived.set(name, step);
  }
  return revived;
}

/**
 * Whether one leaves a virtual address, or moves: it is stopped before the others forget it, and one that is started knows only those of
 * the spec, so that both would have the address.
 */
function isGroupChanged(planning: Planning): boolean {
  const { spec, desired, view } = planning;
  const names = balancerNames(desired);
  const goes = (name: string): boolean =>
    !names.includes(name) || remakesMachine(planning, name) || movesAddress(planning, name);
  return spec.loadBalancer.virtual !== undefined && [...view.loadBalancers.keys()].some(goes);
}

/** Whether it is dead, and stays where it is. */
function isRevivable(planning: Planning, name: string): boolean {
  const { desired, view } = planning;
  const address = resourceAddress("haplan_load_balancer", name);
  const found = view.loadBalancers.get(name);
  const resource = desired.find((candidate) => candidate.address === address);
  if (found === undefined || found.running || !found.onMachine || resource === undefined) return false;
  if (!view.resources.has(address) || isRequested(planning, address)) return false;
  const stays = forcingAttributes(resource, view).length === 0 && !movesAddress(planning, name);
  return stays && !remakesMachine(planning, name);
}

/** The view in which they run. */
export function withRevived(view: ClusterView, revived: RevivedBalancers): ClusterView {
  const loadBalancers = [...view.loadBalancers].map(
    ([name, found]) => [name, revived.has(name) ? { ...found, running: true } : found] as const,
  );
  return { ...view, loadBalancers: new Map(loadBalancers) };
}
