import type { LoadBalancerDescription } from "../plan/provider-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { MachineHost } from "../spec/machine-hosts.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";

/** Describes load balancers that are units: one on a machine with the spec's address, or one on each of the spec's hosts. */
export function loadBalancerOnMachines({ loadBalancer }: ClusterSpec): LoadBalancerDescription {
  const { address, settings, hosts } = loadBalancer;
  const own = settings === undefined ? {} : { settings };
  const single: MachineHost = { name: loadBalancerName, address, zone: null, role: "loadBalancer", ...own };
  const listed = hosts?.map((host): MachineHost => ({ ...host, role: "loadBalancer" }));
  return { attributes: {}, unknown: [], replacedBy: [], hosts: listed ?? [single] };
}
