/** All inputs of a plan: the planner is a function of this and of nothing else. */
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import type { ProviderModel } from "./provider-model.ts";
import type { RecoverRequest } from "./recover-request.ts";
import type { RestoreRequest } from "./restore-request.ts";
import type { State } from "./state.ts";

export type PlannerInput = {
  readonly spec: ClusterSpec;
  /** SHA-256 over the spec's text or canonical form; part of what a saved plan is bound to. */
  readonly specDigest: string;
  /** Null if there is none: nothing was ever created, or it was lost. */
  readonly state: State | null;
  readonly observed: ObservedCluster;
  /** The pure half of the spec's provider. */
  readonly provider: ProviderModel;
  readonly mode: "apply" | "destroy";
  readonly haplanVersion: string;
  /** The version of haplan's programs that the provider starts units with; absent or null if it does not distinguish versions. */
  readonly artifact?: string | null;
  /** When the plan is made, in milliseconds since the epoch: certificates are valid at a moment. */
  readonly nowMs: number;
  /** Addresses (`haplan_raft_member.m2`, `haplan_machine.m2`) to replace even if nothing requires it. */
  readonly replace?: readonly string[];
  /** Addresses: plan only these and their dependencies. Absent or empty plans everything. */
  readonly target?: readonly string[];
  /** Replace the certificate authority by one with another key, or continue to. */
  readonly replaceAuthority?: boolean;
  /** No longer trust the certificate authority that was replaced. */
  readonly dropAuthority?: boolean;
  /** Restore a backup, in place of the data that there is. */
  readonly restore?: RestoreRequest;
  /** Rebuild the cluster from the best survivor of a quorum that is lost for good. */
  readonly recover?: RecoverRequest;
  /** Plan only to record in the state what was found. */
  readonly refreshOnly?: boolean;
};
