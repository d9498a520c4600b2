/** A recovery from a lost quorum, as the planner gets it and as a plan shows it. */
import type { MemberData } from "../units/member-data.ts";

/** What was found on the machine of a master. */
export type FoundData =
  | { readonly kind: "data"; readonly master: string; readonly data: MemberData }
  /** The machine is gone, or has no log. */
  | { readonly kind: "none"; readonly master: string }
  | { readonly kind: "unreadable"; readonly master: string; readonly reason: string };

export type RecoverRequest = {
  /** Of the machines that were reached, and of those that are gone. */
  readonly found: readonly FoundData[];
  /** Masters that are lost for good, or whose data is not to be used. */
  readonly lost: readonly string[];
  /** The path, on haplan's machine, of the snapshot that the best survivor is saved to. */
  readonly snapshot: string;
};

/** A survivor, the best one first. */
export type Survivor = {
  readonly master: string;
  readonly memberId: string;
  readonly lastTerm: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly revision: number;
  readonly isLearner: boolean;
};

export type PlannedRecovery = {
  /** The survivor whose data the cluster continues with. */
  readonly from: string;
  /** Of the cluster that has lost its quorum. */
  readonly clusterId: string;
  readonly survivors: readonly Survivor[];
  /** The others, with the reason. */
  readonly lost: readonly { readonly master: string; readonly reason: string }[];
  /** Masters that are rebuilt, an odd number. */
  readonly rebuilt: readonly string[];
  /** Masters that join later, with `haplan apply`. */
  readonly later: readonly string[];
  /** Entries of the best survivor that it does not know to be committed: they are kept, and count as committed. */
  readonly uncommitted: number;
  /** Voters that were lost could have acknowledged entries among themselves, which no survivor has. */
  readonly mayHaveLost: boolean;
};
