/** All that a plan depends on: the planner is a function of this and of nothing else. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import type { ProviderModel } from "./provider-model.ts";
import type { State } from "./state.ts";

export type PlannerInput = {
  readonly spec: ClusterSpec;
  /** SHA-256 over the spec's text or canonical form; part of what a saved plan is bound to. */
  readonly specDigest: string;
  /** Null when there is none: nothing was ever made, or it was lost. */
  readonly state: State | null;
  readonly observed: ObservedCluster;
  /** The pure half of the spec's provider. */
  readonly provider: ProviderModel;
  readonly mode: "apply" | "destroy";
  readonly haplanVersion: string;
  /** When the plan is made, in milliseconds since the epoch: certificates are good or not at a moment. */
  readonly nowMs: number;
  /** Addresses (`haplan_raft_member.m2`, `haplan_machine.m2`) of masters to replace although nothing asks for it. */
  readonly replace?: readonly string[];
  /** Addresses: plan only these, and what they depend on. Nothing or an empty list plans everything. */
  readonly target?: readonly string[];
  /** Plan nothing but writing into the state what was found. */
  readonly refreshOnly?: boolean;
};
