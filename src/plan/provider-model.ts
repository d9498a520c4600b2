/**
 * What a provider says of its machines and load balancer before there are any: its pure half, over which plans are made. The
 * planner carries it and knows nothing of it; the provider gets it back with the step that makes or changes the resource.
 */
import type { ClusterSpec, ProviderSettings } from "../spec/cluster-spec.ts";
import type { Attributes } from "./resource.ts";

/** A machine as the spec has it. */
export type MachineHost = {
  readonly name: string;
  readonly address: string;
  readonly zone: string | null;
  readonly role: "master" | "loadBalancer" | "worker";
  /** The provider's own keys of the host; absent when it has none. */
  readonly settings?: ProviderSettings;
};

export type ResourceDescription = {
  /** What it is to be made of, beside what every provider's has: shown in the plan's diff. */
  readonly attributes: Attributes;
  /** Names of attributes that are known only once it is made. */
  readonly unknown: readonly string[];
  /** Names of those `attributes` whose change takes another one in its place. The others are changed in place. */
  readonly replacedBy: readonly string[];
};

export type LoadBalancerDescription = ResourceDescription & {
  /**
   * The machines that it runs on, as a unit on each: one; several that share the spec's address as a virtual one; or none,
   * where a cloud runs it.
   */
  readonly hosts: readonly MachineHost[];
};

export type ProviderModel = {
  describeMachine(spec: ClusterSpec, host: MachineHost): ResourceDescription;
  describeLoadBalancer(spec: ClusterSpec): LoadBalancerDescription;
};
