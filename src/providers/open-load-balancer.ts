/** Chooses the implementation of the load balancer. */
import { assert, assertNever } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { LoadBalancer } from "./load-balancer.ts";
import type { Provider } from "./provider.ts";
import { unitLoadBalancer } from "./unit-load-balancer.ts";

/** `provider` runs the unit of those that run on machines. */
export function openLoadBalancer(spec: ClusterSpec, provider: Provider, clock: Clock): LoadBalancer {
  const { type } = spec.loadBalancer;
  switch (type) {
    case "embedded":
    case "haproxy":
      return unitLoadBalancer(provider, clock);
    case "nlb":
      assert(provider.cloudLoadBalancer !== undefined, "the provider of the spec has a load balancer of type nlb");
      return provider.cloudLoadBalancer;
    default:
      return assertNever(type);
  }
}
