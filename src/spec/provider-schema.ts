/**
 * A provider's contribution to the spec: a pure value, so that a spec can be validated, completed and documented
 * without the provider's machines. The provider owns its half (`src/providers/<type>`), the spec owns this port.
 */
import type { FilledPart } from "./declaration/cluster.ts";
import type { SpecRule } from "./rules/rule.ts";
import type { Keys } from "./schema/shape.ts";

export type LoadBalancerType = FilledPart<"loadBalancer">["type"];

/** A master that the spec does not list. */
export type DerivedMaster = { readonly name: string; readonly address: string };

export type ProviderSchema = {
  /** The value of `spec.provider.type`. */
  readonly type: string;
  /** What a machine is for this provider. */
  readonly description: string;
  /** Its own keys in `spec.provider`, beside `type`. */
  readonly settings: Keys;
  /** Its own keys in each master and each worker. */
  readonly hostKeys: Keys;
  /** Its own keys in the load balancer. */
  readonly loadBalancerKeys: Keys;
  /** The load balancers that it can create; the first is the default. */
  readonly loadBalancerTypes: readonly [LoadBalancerType, ...LoadBalancerType[]];
  /** The addresses that it accepts. */
  readonly address: { readonly description: string; readonly example: string };
  /** The masters if only `members` is written; null if they have to be listed. */
  readonly deriveMasters: {
    /** For the documentation: names and addresses of the masters. */
    readonly description: string;
    readonly derive: (members: number) => readonly DerivedMaster[];
  } | null;
  /** Whether it can run several load balancers on hosts that the spec lists. */
  readonly hasBalancerHosts: boolean;
  /** The default address of the load balancer; null if the spec has to name one. */
  readonly loadBalancerAddress: string | null;
  /** Rules in addition to those for every provider. */
  readonly rules: readonly SpecRule[];
};
