/**
 * The values of a rehearsal: a plan is applied to a local copy of the cluster again and again, each time with another fault
 * at another step. One such run is a trial. Times are whole milliseconds; within a trial they count from its start.
 */
import type { StepAction } from "../plan/step.ts";

/** `kill`: SIGKILL. `pause`: SIGSTOP for longer than the election timeout. `cut`: no traffic with the other members. */
export type MemberFaultKind = "kill" | "pause" | "cut";
export type FaultKind = MemberFaultKind | "haplan";

export const faultKinds: readonly FaultKind[] = ["kill", "pause", "cut", "haplan"];

/** `haplan`: the process that applies is killed, and the apply is resumed. */
export type Fault =
  | { readonly kind: MemberFaultKind; readonly member: string }
  | { readonly kind: "haplan"; readonly member?: never };

/** A step of the plan as the copy has it. */
export type RehearsedStep = {
  /** Its position in the plan, counted from 1. */
  readonly number: number;
  readonly id: string;
  readonly title: string;
  readonly kind: StepAction["kind"];
  /**
   * How many more voters may fail at the worst moment of the step before writes stop; null without a working quorum. A fault at
   * a step with 0 stops writes in any cluster of this size.
   */
  readonly canLose: number | null;
};

/** Null: the plan is applied without a fault. */
export type Trial = { readonly step: RehearsedStep; readonly fault: Fault } | null;

/** A part of a trial's time. */
export type Span = { readonly fromMs: number; readonly untilMs: number };

export type ApplyRun = Span & {
  /** The exit code; null if it was killed. */
  readonly exitCode: number | null;
  /** Its last error, for a run that failed. */
  readonly error: string | null;
};

export type StepRun = Span & Pick<RehearsedStep, "id" | "title" | "kind">;

/** What was seen in one trial. */
export type TrialRecord = {
  readonly elapsedMs: number;
  readonly runs: readonly ApplyRun[];
  readonly steps: readonly StepRun[];
  /** Null if the fault did not happen: its member did not run at this step, or the step did not start. */
  readonly fault: Span | null;
  /** Waits of writers of at least `gapShownMs`. */
  readonly gaps: readonly Span[];
  /** No majority of the voters was up, connected and running. */
  readonly withoutQuorum: readonly Span[];
  readonly writes: { readonly acknowledged: number; readonly failed: number; readonly lost: readonly string[] };
  readonly longestGapMs: number;
  /** Whether the cluster is as the spec says in the end. */
  readonly converged: boolean;
  /** Applies after the first one until it was. */
  readonly resumes: number;
};

/** Gaps below are normal, and would fill the page. */
export const gapShownMs = 250;

/**
 * `held`: the quorum was never lost. `noSpare`: it was lost while the plan's own quorum table says that no voter may fail.
 * `lost`: it was lost although one voter may fail.
 */
export type QuorumOutcome = "held" | "noSpare" | "lost";

/** `absent`: there was nothing to fault at this step. */
export type TrialOutcome = "held" | "failed" | "absent";

export type TrialResult = {
  readonly trial: Trial;
  readonly outcome: TrialOutcome;
  readonly quorum: QuorumOutcome;
  /** What failed, as sentences. */
  readonly problems: readonly string[];
  readonly record: TrialRecord;
};

export type LeftOut = { readonly reason: string; readonly trials: readonly Trial[] };

export type RehearsalReport = {
  readonly haplanVersion: string;
  readonly cluster: string;
  readonly engine: "agent" | "etcd";
  /** Names of the present members, and the keys in the copy. */
  readonly copy: { readonly members: readonly string[]; readonly data: string };
  readonly steps: readonly RehearsedStep[];
  /** What a rehearsal does not show. */
  readonly notCovered: readonly string[];
  readonly results: readonly TrialResult[];
  readonly leftOut: readonly LeftOut[];
  readonly elapsedMs: number;
};

/** `held`: a fault happened, and no trial failed. `untried`: no fault happened, so that nothing is known of one. */
export type RehearsalOutcome = "held" | "failed" | "untried";

/** Of the trials that were played: nothing is said of those that were left out. */
export function rehearsalOutcome({ results }: Pick<RehearsalReport, "results">): RehearsalOutcome {
  if (results.some(({ outcome }) => outcome === "failed")) return "failed";
  return results.some(({ trial, outcome }) => trial !== null && outcome === "held") ? "held" : "untried";
}

/** The report of a plan without changes: no copy is made. */
export function nothingToRehearse(
  known: Pick<RehearsalReport, "haplanVersion" | "cluster" | "engine">,
): RehearsalReport {
  return {
    ...known,
    copy: { members: [], data: "no data" },
    steps: [],
    notCovered: [],
    results: [],
    leftOut: [],
    elapsedMs: 0,
  };
}
