/**
 * What a provider contributes to the spec: a pure value, so that a spec can be checked, completed and documented
 * without the provider's machines. The provider owns its half (`src/providers/<type>`), the spec owns this port.
 */
import type { SpecRule } from "./rules/rule.ts";
import type { Keys } from "./schema/shape.ts";

/** A master that the spec does not list. */
export type DerivedMaster = { readonly name: string; readonly address: string };

export type ProviderSchema = {
  /** The value of `spec.provider.type`. */
  readonly type: string;
  /** What a machine is with this provider. */
  readonly description: string;
  /** Keys of its own in `spec.provider`, beside `type`. */
  readonly settings: Keys;
  /** Keys of its own in each master, each worker and the load balancer. */
  readonly hostKeys: Keys;
  /** What it takes for an address. */
  readonly address: { readonly description: string; readonly example: string };
  /** The masters when only `members` is written; null when they have to be listed. */
  readonly deriveMasters: {
    /** In the documentation: names and addresses of the masters. */
    readonly description: string;
    readonly derive: (members: number) => readonly DerivedMaster[];
  } | null;
  /** Where the load balancer listens unless the spec says so; null when the spec has to. */
  readonly loadBalancerAddress: string | null;
  /** What must hold beside the rules for every provider. */
  readonly rules: readonly SpecRule[];
};
