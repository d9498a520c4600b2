/** Everything that a spec puts on machines, to be checked before a plan is made. Pure. */
import { certificateBackdatingMs } from "../base/certificate-backdating.ts";
import type { ResourceChange } from "../plan/plan.ts";
import type { ProviderModel } from "../plan/provider-model.ts";
import { specName } from "../plan/resource.ts";
import type { State } from "../plan/state.ts";
import type { MachineIdentity, MachineUnit, PreflightRequest } from "../providers/provider.ts";
import { unknownAddresses } from "../spec/address-reference.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { agentBlueprint } from "../units/agent-unit.ts";
import type { InitialCluster } from "../units/initial-cluster.ts";
import { loadBalancerBlueprint } from "../units/load-balancer-unit.ts";
import { virtualAddressBlueprint } from "../units/virtual-address.ts";
import { workerBlueprint } from "../units/worker-unit.ts";
import { networkPaths } from "./network-paths.ts";

/** A new member's log, with one segment preallocated, and an empty store. Growth through use is not checked. */
export const memberBytes: number = 128 * 2 ** 20;

/** Its initial cluster is read when it starts; no check needs it. */
export const joining: InitialCluster = { clusterState: "existing", initialCluster: [] };

/** `state` is null before the first apply. */
export function checkRequest(spec: ClusterSpec, state: State | null, model: ProviderModel): PreflightRequest {
  const lineage = state?.lineage ?? "to-be-made";
  const masters = spec.controlPlane.masters.filter(({ adoptedAt }) => adoptedAt === undefined);
  const balancers = model.describeLoadBalancer(spec).hosts;
  const machines = [...masters, ...balancers, ...spec.workers].map(({ name, address, zone }): MachineIdentity => {
    return { name, address, zone, lineage, generation: generationOf(state, name) };
  });
  const isNew = (name: string): boolean => generationOf(state, name) === 0;
  const units: readonly MachineUnit[] = [
    ...masters.map(({ name }) => ({
      machine: name,
      unit: agentBlueprint(spec, name, { ...joining, token: lineage }).definition,
    })),
    ...balancers.flatMap(({ name }) => balancerUnits(spec, name)),
    ...spec.workers.map(({ name }) => ({ machine: name, unit: workerBlueprint(spec, name).definition })),
  ];
  return {
    machines: machines.filter((machine) => unknownAddresses(machine).length === 0),
    units: units.filter(({ unit }) => unknownAddresses(unit).length === 0),
    space: masters.filter(({ name }) => isNew(name)).map(({ name }) => ({ machine: name, bytes: memberBytes })),
    network: networkPaths(spec, balancers),
    certificateAgeMs: spec.controlPlane.tls.enabled && state === null ? certificateBackdatingMs : null,
    ...virtualAddressOf(spec, state?.resources ?? []),
  };
}

function balancerUnits(spec: ClusterSpec, balancer: string): readonly MachineUnit[] {
  const backends = spec.controlPlane.masters.map(({ name }) => name);
  const blueprints = [loadBalancerBlueprint(spec, { backends, balancer }), virtualAddressBlueprint(spec, balancer)];
  return blueprints.flatMap((each) => (each === null ? [] : [{ machine: balancer, unit: each.definition }]));
}

/** The virtual address of the load balancers, if they have one; `known` are resources of now. */
export function virtualAddressOf(
  { loadBalancer }: ClusterSpec,
  known: readonly Pick<ResourceChange, "type" | "name">[],
): Pick<PreflightRequest, "virtualAddress"> {
  const { address, ports, hosts = [], virtual } = loadBalancer;
  if (virtual === undefined || ports[0] === undefined) return {};
  // One that leaves has the address until another one takes it.
  const present = known.filter(({ type }) => type === "haplan_load_balancer").map(({ name }) => specName(name));
  const machines = [...new Set([...hosts.map(({ name }) => name), ...present])];
  return { virtualAddress: { address, port: ports[0], machines } };
}

/** 0 for a machine that the state does not have. */
function generationOf(state: State | null, name: string): number {
  const machines = (state?.resources ?? []).filter((each) => each.type === "haplan_machine");
  return Math.max(0, ...machines.filter((each) => specName(each.name) === name).map(({ generation }) => generation));
}
