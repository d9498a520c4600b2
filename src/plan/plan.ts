/** A plan is a value: made by the planner, shown, saved, compared, and carried out by apply, which decides nothing. */

import type { Diagnostic } from "../base/diagnostic.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ReasonCode } from "./change-reason.ts";
import type { Attributes, ResourceAddress, ResourceType } from "./resource.ts";
import type { Step } from "./step.ts";

/** Terraform's actions; `replace` is shown with the order in which it happens. */
export type ChangeAction = "noop" | "create" | "update" | "delete" | "createThenDelete" | "deleteThenCreate";

export type ResourceChange = {
  readonly address: ResourceAddress;
  readonly type: ResourceType;
  readonly name: string;
  readonly action: ChangeAction;
  /** Why, for people: `dead: its process is gone`. Null when the action says it all. */
  readonly reason: string | null;
  /** The same for programs; absent for reasons that no program asks for. */
  readonly reasonCode?: ReasonCode;
  readonly before: Attributes | null;
  readonly after: Attributes | null;
  /** Names of attributes that are only known once applied. */
  readonly unknownAfter: readonly string[];
  readonly sensitive: readonly string[];
  /** Names of attributes whose change makes it impossible to change in place. */
  readonly forcesReplacement: readonly string[];
  /** The address that it had before; absent when it has always had this one. */
  readonly movedFrom?: ResourceAddress;
  /** Id in the world of an object that runs already and is taken over; absent for all others. */
  readonly importing?: { readonly id: string };
};

/** The state of the quorum at one moment; in a joint configuration the smaller tolerance of its two halves. */
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
  /** How many more voters may fail before writes stop; null while there is no working quorum. */
  readonly canLose: number | null;
  /**
   * Of the load balancer's targets those that serve: each is a voter that is up and answers clients there. Absent while
   * no load balancer runs.
   */
  readonly endpoint?: { readonly targets: number; readonly serving: number };
};

/** What a saved plan is bound to: if any of it has moved, the plan is stale. */
export type PlanBinding = {
  readonly specDigest: string;
  readonly stateLineage: string | null;
  readonly stateSerial: number;
  readonly haplanVersion: string;
  /** Null when there is no cluster yet. */
  readonly membership: {
    readonly clusterId: string;
    readonly voters: readonly string[];
    readonly learners: readonly string[];
    /** Tells a membership that was changed and changed back; null where the members do not tell it. */
    readonly configurationIndex: number | null;
  } | null;
};

export type Plan = {
  readonly formatVersion: 1;
  /** SHA-256 over all that follows. */
  readonly id: string;
  readonly mode: "apply" | "destroy";
  /** The plan changes nothing but the state. */
  readonly refreshOnly?: true;
  readonly spec: ClusterSpec;
  readonly binding: PlanBinding;
  readonly changes: readonly ResourceChange[];
  /** What moved outside of haplan since the state was written. */
  readonly drift: readonly ResourceChange[];
  readonly steps: readonly Step[];
  readonly timeline: readonly QuorumRow[];
  readonly warnings: readonly Diagnostic[];
};
