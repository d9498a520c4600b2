/** Where a load balancer without a client certificate asks a master for its health: a port that answers every caller. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";

/** The port that etcd's own documentation uses for its metrics. */
export const metricsPort = 2381;

/** Null if load balancers check the client port, with a certificate of their own. */
export function healthPort({ loadBalancer }: Pick<ClusterSpec, "loadBalancer">): number | null {
  return loadBalancer.type === "nlb" ? metricsPort : null;
}

/**
 * A real etcd asks for client certificates wherever it serves TLS: there it is the port of its metrics, in plaintext. The agent
 * has a port for health alone, which serves TLS to every caller.
 */
export function healthScheme({ controlPlane }: Pick<ClusterSpec, "controlPlane">): "http" | "https" {
  return controlPlane.engine === "agent" && controlPlane.tls.enabled ? "https" : "http";
}
