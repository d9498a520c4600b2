/** A spec during validation: its located view and its machines, including those of defaults. */
import type { ClusterShapes } from "./declaration/cluster.ts";
import type { AnyEntries, Located, LocatedValue } from "./schema/located.ts";

export type LocatedPart<Name extends keyof ClusterShapes> = Located<ClusterShapes[Name], ClusterShapes>;

export type ControlPlaneDraft = LocatedPart<"controlPlane">;
export type StateDraft = LocatedPart<"state">;
export type AdoptedTlsDraft = LocatedPart<"adoptedTls">;

/** A machine of the spec; haplan names that of a load balancer with an address. */
export type HostDraft = {
  readonly kind: "master" | "worker" | "load balancer" | "spare host";
  readonly name: LocatedValue<string> | null;
  readonly address: LocatedValue<string> | null;
  /** Its keys as written, including the provider's own; empty for a machine that is a default. */
  readonly entries: AnyEntries;
};

export type SpecDraft = {
  readonly provider: LocatedPart<"provider"> | null;
  readonly state: StateDraft | null;
  readonly backup: LocatedPart<"backup"> | null;
  readonly controlPlane: ControlPlaneDraft | null;
  readonly loadBalancer: LocatedPart<"loadBalancer"> | null;
  readonly kubernetes: LocatedPart<"kubernetes"> | null;
  readonly repair: LocatedPart<"repair"> | null;
  /** Whether the provider gives names and addresses to masters that are not listed. */
  readonly derivesMasters: boolean;
  /** Whether the provider has machines for several load balancers. */
  readonly hasBalancerHosts: boolean;
  /** Null if the file lists no masters. */
  readonly masters: { readonly pointer: string; readonly hosts: readonly HostDraft[] } | null;
  /** Masters (listed or derived), load balancer, workers, spare hosts. */
  readonly hosts: readonly HostDraft[];
};
