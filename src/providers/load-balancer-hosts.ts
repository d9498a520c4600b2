import type { LoadBalancerDescription } from "../plan/provider-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { loadBalancerName } from "../units/load-balancer-unit.ts";

/** Describes a load balancer that is a unit on a dedicated machine with the load balancer's address. */
export function loadBalancerOnMachine({ loadBalancer }: ClusterSpec): LoadBalancerDescription {
  const { address, settings } = loadBalancer;
  const own = settings === undefined ? {} : { settings };
  const host = { name: loadBalancerName, address, zone: null, role: "loadBalancer", ...own } as const;
  return { attributes: {}, unknown: [], replacedBy: [], hosts: [host] };
}
