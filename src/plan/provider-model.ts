/**
 * A provider's description of its machines and load balancer before they exist: its pure half, which plans are based
 * on. The planner passes it through without interpreting it; the provider gets it back with the step that creates or
 * changes the resource.
 */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { MachineHost } from "../spec/machine-hosts.ts";
import type { Attributes, ResourceType } from "./resource.ts";

export type ResourceDescription = {
  /** Its attributes in addition to those of every provider: shown in the plan's diff. */
  readonly attributes: Attributes;
  /** Names of attributes that are known only after it is created. */
  readonly unknown: readonly string[];
  /** Names of those `attributes` whose change forces replacement. The others are changed in place. */
  readonly replacedBy: readonly string[];
  /**
   * Names of those `attributes` that are null where the spec has no value. A state of an earlier version lacks them then. Absent if
   * there are none.
   */
  readonly optional?: readonly string[];
  /** Absent if there is nothing that changes so. */
  readonly whileStopped?: ChangedWhileStopped;
};

/** Attributes of a master's machine for whose change its agent stops. The member keeps its data and its id. */
export type ChangedWhileStopped = {
  /** Names of those `attributes`; none of them is in `replacedBy`. */
  readonly names: readonly string[];
  /** Names of those `unknown` that have other values after such a change. */
  readonly renews: readonly string[];
};

export type LoadBalancerDescription = ResourceDescription & {
  /**
   * The machines that it runs on, as a unit on each: one; several that share the spec's address as a virtual IP; or
   * none, if a cloud runs it.
   */
  readonly hosts: readonly MachineHost[];
};

/** A resource with the attributes that are known of it. */
export type ExportRequest = { readonly type: ResourceType; readonly name: string; readonly attributes: Attributes };

/** An object of a cloud under the type that Terraform's provider of that cloud has for it. */
export type ExportedResource = {
  /** The provider's address in Terraform's registry. */
  readonly providerName: string;
  readonly type: string;
  readonly name: string;
  readonly values: Attributes;
  /** Names of attributes that are known only after apply. */
  readonly unknown: readonly string[];
};

export type ProviderModel = {
  /** Paths on its machines are paths of the machine that runs haplan; absent where machines are hosts of their own. */
  readonly sharesFiles?: true;
  describeMachine(spec: ClusterSpec, host: MachineHost): ResourceDescription;
  describeLoadBalancer(spec: ClusterSpec): LoadBalancerDescription;
  /** What a resource consists of in the cloud, for tools that read plans of Terraform; absent if there is no such provider. */
  exportResource?(spec: ClusterSpec, resource: ExportRequest): readonly ExportedResource[];
};
