/** The one place that knows which load balancers there are. */
import { assertNever } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { LoadBalancer } from "./load-balancer.ts";
import type { Provider } from "./provider.ts";
import { unitLoadBalancer } from "./unit-load-balancer.ts";

/** `provider`: of the machines, for those that run on one. */
export function openLoadBalancer(spec: ClusterSpec, provider: Provider, clock: Clock): LoadBalancer {
  const { type } = spec.loadBalancer;
  switch (type) {
    case "embedded":
    case "haproxy":
      return unitLoadBalancer(provider, clock);
    default:
      return assertNever(type);
  }
}
