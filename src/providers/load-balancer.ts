/**
 * The port to the load balancer of a cluster: a unit on a machine, units on several machines that share a virtual IP, or a
 * load balancer of a cloud. Every call is idempotent and can be aborted.
 */
import type { BackendState } from "../load-balancer/backend.ts";
import type { ObservedLoadBalancer } from "../plan/observed-cluster.ts";
import type { Attributes } from "../plan/resource.ts";
import type { LoadBalancerConfig } from "../units/load-balancer-unit.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";

export type LoadBalancerObservation =
  /** It is one of the units of its machines, which the provider observes. */
  | { readonly kind: "onMachines" }
  | { readonly kind: "absent" }
  | ({ readonly kind: "present" } & ObservedLoadBalancer)
  | { readonly kind: "unreachable"; readonly reason: string };

export type WantedLoadBalancer = {
  readonly lineage: string;
  /** The attributes from the provider's pure half. */
  readonly attributes: Attributes;
  /** Listeners, backends and health check. */
  readonly config: LoadBalancerConfig;
  /** The same as a unit with its certificate, for implementations that run one. */
  readonly unit: () => Promise<UnitDefinition>;
};

export type LoadBalancerReport = {
  readonly backends: readonly { readonly name: string; readonly state: BackendState }[];
};

export type LoadBalancer = {
  /** Finds the load balancer labeled with `lineage`. Reports an unreachable one and does not reject. */
  observe(lineage: string | null, signal?: AbortSignal): Promise<LoadBalancerObservation>;
  /**
   * Creates or updates it to serve these backends. Returns attributes that are known after apply: `address` if the cloud
   * chooses it, `pid`, and `definitionDigest`, a digest of its configuration that `observe` reports as well.
   */
  ensure(wanted: WantedLoadBalancer, signal?: AbortSignal): Promise<Attributes>;
  /** Removes it, or stops its units: their machines are destroyed by steps of their own. */
  remove(signal?: AbortSignal): Promise<void>;
  /** The health of its backends; null if it does not report any. */
  status(signal?: AbortSignal): Promise<LoadBalancerReport | null>;
};
