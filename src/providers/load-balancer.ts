/**
 * The port between haplan and the load balancer of a cluster, whatever it is: a unit on a machine, units on several machines
 * that share an address, or a cloud's own. Every call is idempotent, and takes a signal as the provider's calls do.
 */
import type { BackendState } from "../load-balancer/backend.ts";
import type { ObservedLoadBalancer } from "../plan/observed-cluster.ts";
import type { Attributes } from "../plan/resource.ts";
import type { LoadBalancerConfig } from "../units/load-balancer-unit.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";

export type LoadBalancerObservation =
  /** It is among the units of the machines that it runs on. */
  | { readonly kind: "onMachines" }
  | { readonly kind: "absent" }
  | ({ readonly kind: "present" } & ObservedLoadBalancer)
  | { readonly kind: "unreachable"; readonly reason: string };

export type WantedLoadBalancer = {
  readonly lineage: string;
  /** What the provider's pure half describes it by. */
  readonly attributes: Attributes;
  /** Where it listens, its backends, and how it asks for their health. */
  readonly config: LoadBalancerConfig;
  /** The same as a unit, with its certificate, for those that run one. */
  readonly unit: () => Promise<UnitDefinition>;
};

export type LoadBalancerReport = {
  readonly backends: readonly { readonly name: string; readonly state: BackendState }[];
};

export type LoadBalancer = {
  /** Looks for the one that carries `lineage`. Does not reject for one that cannot be looked at. */
  observe(lineage: string | null, signal?: AbortSignal): Promise<LoadBalancerObservation>;
  /**
   * Makes it serve these backends, makes it where it is not there, and returns what only that could tell: its address, a
   * process id, a digest of what it was told (`definitionDigest`, which `observe` finds again while nobody has changed it).
   */
  ensure(wanted: WantedLoadBalancer, signal?: AbortSignal): Promise<Attributes>;
  /** Ends it. A machine that it runs on stays. */
  remove(signal?: AbortSignal): Promise<void>;
  /** How its backends are, as it sees them; null where it does not tell. */
  status(signal?: AbortSignal): Promise<LoadBalancerReport | null>;
};
