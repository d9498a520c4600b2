/** A plan is a value: made by the planner, shown, saved, compared, and executed by apply, which decides nothing. */

import type { Diagnostic } from "../base/diagnostic.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ReasonCode } from "./change-reason.ts";
import type { Attributes, ResourceAddress, ResourceType } from "./resource.ts";
import type { PlannedRestore } from "./restore-request.ts";
import type { Step } from "./step.ts";

/** Terraform's actions; `replace` is shown with its order of steps. */
export type ChangeAction = "noop" | "create" | "update" | "delete" | "createThenDelete" | "deleteThenCreate";

export type ResourceChange = {
  readonly address: ResourceAddress;
  readonly type: ResourceType;
  readonly name: string;
  readonly action: ChangeAction;
  /** Why, as text: `dead: its process is gone`. Null if the action is self-explanatory. */
  readonly reason: string | null;
  /** The same as a code for programs; absent for reasons that no program matches. */
  readonly reasonCode?: ReasonCode;
  readonly before: Attributes | null;
  readonly after: Attributes | null;
  /** Names of attributes that are known only after apply. */
  readonly unknownAfter: readonly string[];
  readonly sensitive: readonly string[];
  /** Names of attributes whose change forces replacement. */
  readonly forcesReplacement: readonly string[];
  /** Its previous address; absent if it never had another one. */
  readonly movedFrom?: ResourceAddress;
  /** Id of an existing object that is imported; absent for all others. */
  readonly importing?: { readonly id: string };
};

/** The quorum at one moment; in a joint configuration with the smaller tolerance of its two halves. */
export type QuorumRow = {
  /** Index into `steps`, or null for "now". */
  readonly afterStep: number | null;
  readonly title: string;
  readonly voters: number;
  /** Voters of the outgoing half, 0 unless joint. */
  readonly votersOutgoing: number;
  readonly learners: number;
  readonly healthyVoters: number;
  readonly quorum: number;
  /** How many more voters may fail before writes stop; null without a working quorum. */
  readonly canLose: number | null;
  /**
   * The serving targets of the load balancer: each is a voter that is up and answers clients there. Absent while no
   * load balancer runs.
   */
  readonly endpoint?: { readonly targets: number; readonly serving: number };
};

/** What a saved plan is bound to: if any of it has changed, the plan is stale. */
export type PlanBinding = {
  readonly specDigest: string;
  readonly stateLineage: string | null;
  readonly stateSerial: number;
  readonly haplanVersion: string;
  /** The version of haplan's programs that units get; absent if the provider does not distinguish versions. */
  readonly artifact?: string;
  /** Null if there is no cluster yet. */
  readonly membership: {
    readonly clusterId: string;
    readonly voters: readonly string[];
    readonly learners: readonly string[];
    /** Detects a membership that was changed and changed back; null if the members do not report it. */
    readonly configurationIndex: number | null;
  } | null;
};

export type Plan = {
  readonly formatVersion: 1;
  /** SHA-256 over all that follows. */
  readonly id: string;
  readonly mode: "apply" | "destroy";
  /** The plan changes only the state. */
  readonly refreshOnly?: true;
  /** The plan restores a backup. */
  readonly restore?: PlannedRestore;
  readonly spec: ClusterSpec;
  readonly binding: PlanBinding;
  readonly changes: readonly ResourceChange[];
  /** Changes made outside of haplan since the state was written. */
  readonly drift: readonly ResourceChange[];
  readonly steps: readonly Step[];
  readonly timeline: readonly QuorumRow[];
  readonly warnings: readonly Diagnostic[];
};
