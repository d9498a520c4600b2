/**
 * The port to the load balancer of a cluster: a unit on a machine, units on several machines that share a virtual IP, or a
 * load balancer of a cloud. Every call is idempotent and can be aborted.
 */
import type { BackendState } from "../load-balancer/backend.ts";
import type { LabeledObject, ObservedLoadBalancer } from "../plan/observed-cluster.ts";
import type { Attributes } from "../plan/resource.ts";
import type { LoadBalancerConfig } from "../units/load-balancer-unit.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";

export type LoadBalancerObservation =
  /** It is one of the units of its machines, which the provider observes. */
  | { readonly kind: "onMachines" }
  /** `labeled`: one of another cluster has the name. */
  | { readonly kind: "absent"; readonly labeled?: LabeledObject }
  /** `labeled`: of which cluster it is; absent if no other one can have it. */
  | ({ readonly kind: "present"; readonly labeled?: LabeledObject } & ObservedLoadBalancer)
  | { readonly kind: "unreachable"; readonly reason: string };

export type WantedLoadBalancer = {
  /** Of its machine, if it runs on one. */
  readonly name: string;
  readonly lineage: string;
  /** The attributes from the provider's pure half. */
  readonly attributes: Attributes;
  /** Listeners, backends and health check. */
  readonly config: LoadBalancerConfig;
  /** The same as a unit with its certificate, for implementations that run one. */
  readonly unit: () => Promise<UnitDefinition>;
  /** The unit between it and its targets, which is started before it; null if it has the targets itself. */
  readonly relay: (() => Promise<UnitDefinition>) | null;
  /** The unit beside it that holds its virtual address; null if it has none. */
  readonly virtualAddress: (() => Promise<UnitDefinition>) | null;
};

export type LoadBalancerReport = {
  readonly backends: readonly { readonly name: string; readonly state: BackendState }[];
};

/** Whether a load balancer has the virtual address; `fault`: it cannot serve. Null if that is unknown. */
export type VirtualAddressState = "holder" | "backup" | "fault" | null;

export type LoadBalancer = {
  /** Finds the load balancer labeled with `lineage`. Reports an unreachable one and does not reject. */
  observe(lineage: string | null, signal?: AbortSignal): Promise<LoadBalancerObservation>;
  /**
   * Creates or updates it to serve these backends. Returns attributes that are known after apply: `address` if the cloud
   * chooses it, `pid`, and `definitionDigest`, a digest of its configuration that `observe` reports as well.
   */
  ensure(wanted: WantedLoadBalancer, signal?: AbortSignal): Promise<Attributes>;
  /** Removes it, or stops its units: their machines are destroyed by steps of their own. */
  remove(name: string, hasVirtualAddress: boolean, signal?: AbortSignal): Promise<void>;
  /** Removes what holds its virtual address, and nothing else. */
  removeVirtualAddress(name: string, signal?: AbortSignal): Promise<void>;
  /** Whether it has the virtual address; null if it has none, or does not say so. */
  virtualAddress(name: string, signal?: AbortSignal): Promise<VirtualAddressState>;
  /** The health of the backends of one; null if it does not report any. */
  status(name: string, signal?: AbortSignal): Promise<LoadBalancerReport | null>;
};
