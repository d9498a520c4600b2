/**
 * Where a load balancer without a client certificate asks a master for its health: the address of its metrics, which
 * answers every caller.
 */
import type { ClusterSpec } from "../spec/cluster-spec.ts";

/** The port that etcd's own documentation uses for its metrics. */
export const metricsPort = 2381;

/** Null if load balancers check the client port, with a certificate of their own. */
export function healthPort({ loadBalancer }: Pick<ClusterSpec, "loadBalancer">): number | null {
  return loadBalancer.type === "nlb" ? metricsPort : null;
}
