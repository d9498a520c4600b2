/** Destroys a cluster in the reverse order of its creation; machines are destroyed with everything on them. */

import { ownMasters } from "../../spec/machine-hosts.ts";
import { loadBalancerName } from "../../units/load-balancer-unit.ts";
import { loadBalancerUnitName, workerUnitName } from "../../units/unit-definition.ts";
import { unitOf } from "../cluster-view.ts";
import { createsAuthority, loadBalancerAddress } from "../desired-resources.ts";
import type { Planning } from "../planning.ts";
import { type ResourceAddress, type ResourceType, resourceAddress } from "../resource.ts";
import { hasAdopted } from "./adoption/adoption.ts";
import { checkNamed, leadOut, leaveAdopted, namedMembers } from "./adoption/destroy-adopted.ts";
import { named } from "./endpoint.ts";
import { refuseNodes } from "./kubernetes.ts";
import { machineAddress } from "./machines.ts";
import { agentRuns } from "./masters.ts";
import { destroyOrphans } from "./orphans.ts";

/**
 * Targeted members are removed from a cluster that keeps running; otherwise everything is destroyed, or the targeted
 * part.
 */
export function planDestroy(planning: Planning): void {
  const named = namedMembers(planning);
  if (named.size === 0) destroyAll(planning);
  else if (checkNamed(planning, named)) leadOut(planning, named);
}

function destroyAll(planning: Planning): void {
  refuseNodes(planning);
  refuseAnswering(planning);
  const { view, builder, observed } = planning;
  const of = (...types: ResourceType[]): ResourceAddress[] =>
    [...view.resources.values()]
      .filter((resource) => types.includes(resource.type))
      .map((resource) => resource.address);
  const machines = [...view.machines.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const stops = new Map<string, string | null>();
  const drop = (addresses: readonly ResourceAddress[]): readonly ResourceAddress[] => {
    for (const address of addresses) builder.setAction(address, "delete");
    return addresses;
  };
  for (const { name } of machines.filter((machine) => unitOf(machine, workerUnitName) !== undefined)) {
    const worker = drop([resourceAddress("haplan_worker", name)]);
    stops.set(name, builder.add({ kind: "stopWorker", worker: name }, worker));
  }
  const workers = [...stops.values()];
  for (const { name } of machines.filter((machine) => unitOf(machine, loadBalancerUnitName) !== undefined)) {
    const served = drop([resourceAddress("haplan_load_balancer", name), ...of("haplan_lb_backend")]);
    stops.set(name, builder.add({ kind: "stopLoadBalancer", ...named(name) }, served, workers));
  }
  if (view.loadBalancers.get(loadBalancerName)?.onMachine === false) {
    const served = drop([loadBalancerAddress, ...of("haplan_lb_backend")]);
    stops.set(loadBalancerName, builder.add({ kind: "stopLoadBalancer" }, served, workers));
  }
  const clients = [...stops.values()];
  if (hasAdopted(planning.spec)) leaveAdopted(planning, clients);
  for (const { name } of machines.filter((machine) => agentRuns(view, machine.name) || machine.hasData)) {
    const addresses = drop([resourceAddress("haplan_raft_member", name), resourceAddress("haplan_agent", name)]);
    stops.set(name, builder.add({ kind: "stopAgent", member: name }, addresses, [...clients, builder.lastSerialStep]));
  }
  const destroyed = [
    ...machines.map(({ name }) =>
      builder.add({ kind: "destroyMachine", machine: name }, drop([machineAddress(name)]), [stops.get(name) ?? null]),
    ),
    ...destroyOrphans(planning),
  ];
  const certificates = [
    ...observed.certificates.map((certificate) => resourceAddress("haplan_certificate", certificate.name)),
    ...of("haplan_ca", "haplan_certificate"),
  ];
  // haplan does not remove the authority of adopted members.
  const ours = observed.authority !== null && createsAuthority(planning.spec);
  if (ours || certificates.length > 0) {
    builder.add({ kind: "removeAuthority" }, drop([...new Set(certificates)]), destroyed);
  }
  warnOfBackups(planning);
  const gone = [...view.resources.keys()].filter((address) => !builder.actions.has(address));
  if (gone.length > 0) builder.add({ kind: "recordState" }, drop(gone), destroyed);
}

/** A plan destroys what is found. Members that answer run on machines that were not: all of it would go on, without its authority. */
function refuseAnswering({ spec, view, observed, builder }: Planning): void {
  const { membership, machines, unreachable = [], orphans } = observed;
  if (membership === null || hasAdopted(spec) || machines.length + unreachable.length + orphans.length > 0) return;
  const recorded = [...view.resources.values()].filter(({ type }) => type === "haplan_machine").map(({ name }) => name);
  const names = membership.members.filter(({ healthy }) => healthy).map(({ name }) => name);
  if (recorded.length === 0 || names.length === 0) return;
  builder.refuse(
    "plan/members-answer",
    `No machine of the cluster is found, but ${names.sort().join(", ")} ${names.length === 1 ? "answers" : "answer"}`,
    "This plan would destroy nothing of them, and remove the certificate authority and what the state has. Run it with the credentials and from the place that the cluster was created with.",
  );
}

/** Those that the members took by themselves. They are the only copy of the data that is destroyed: no step removes them. */
function warnOfBackups({ spec, view, builder }: Planning): void {
  const { schedule, s3 } = spec.backup ?? {};
  const recorded = [...view.resources.values()].map(({ attributes }) => attributes["backupSchedule"]);
  const directories = [schedule, ...recorded].flatMap((each): readonly string[] => {
    const directory = typeof each === "object" && each !== null && "directory" in each ? each["directory"] : undefined;
    return typeof directory === "string" ? [directory] : [];
  });
  const hosts = ownMasters(spec).filter(({ name }) => view.machines.has(name));
  if (hosts.length === 0) return;
  const places = [
    ...[...new Set(directories)].map(
      (directory) => `${directory} on ${hosts.map(({ name, address }) => `${name} (${address})`).join(", ")}`,
    ),
    ...(schedule === undefined || s3 === undefined ? [] : [`the bucket "${s3.bucket}"`]),
  ];
  if (places.length === 0) return;
  builder.warn(
    "plan/backups-stay",
    "The backups that the members took by themselves stay",
    `They are in ${places.join(", and in ")}. This plan removes none of them. Remove them by hand once you no longer need them.`,
  );
}
