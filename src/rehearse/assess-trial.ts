/** Decides from what was seen in a trial whether it held. */

import type { QuorumOutcome, RehearsedStep, Span, StepRun, Trial, TrialRecord, TrialResult } from "./rehearsal.ts";
import { faultName } from "./trial-order.ts";

/** A step that starts this soon after a fault has passed its check before the fault could be seen. */
const unseenMs = 500;

/** How closely the moment of a loss is known. */
const sampledMs = 60;

export function assessTrial(trial: Trial, record: TrialRecord, steps: readonly RehearsedStep[]): TrialResult {
  const quorum = quorumOutcome(record, steps);
  const problems = [
    ...(record.writes.lost.length === 0 ? [] : [lostWrites(record.writes.lost)]),
    ...(quorum === "lost" ? [`the quorum was lost for ${lostMs(record)} ms although a voter may fail`] : []),
    ...(record.converged ? [] : [`the plan did not converge after ${record.resumes} more applies${lastError(record)}`]),
  ];
  const isAbsent = trial !== null && record.fault === null;
  const outcome = problems.length > 0 ? "failed" : isAbsent ? "absent" : "held";
  const said = trial === null || isAbsent ? problems : problems.map((text) => `${faultName(trial.fault)}: ${text}`);
  return { trial, outcome, quorum, problems: said, record };
}

function lostWrites(lost: readonly string[]): string {
  const shown = lost.slice(0, 3).join(", ");
  return `${lost.length} acknowledged ${lost.length === 1 ? "write is" : "writes are"} gone: ${shown}${lost.length > 3 ? ", ..." : ""}`;
}

function lastError({ runs }: TrialRecord): string {
  const error = runs.findLast((run) => run.error !== null)?.error;
  return error == null ? "" : ` (${error})`;
}

function lostMs({ withoutQuorum }: TrialRecord): number {
  return Math.round(withoutQuorum.reduce((sum, { fromMs, untilMs }) => sum + untilMs - fromMs, 0));
}

/**
 * One voter less stops writes where none may fail: a loss that begins in such a step, which was running or about to run when the
 * fault happened, is no failure of the plan. One that begins later is: haplan has taken a voter down while another one was missing.
 */
function quorumOutcome(
  { withoutQuorum, fault, steps: runs }: TrialRecord,
  steps: readonly RehearsedStep[],
): QuorumOutcome {
  if (withoutQuorum.length === 0) return "held";
  if (fault === null) return "lost";
  const unspared = runs.filter((run) => isAround(run, fault) && spareOf(run, steps) === 0);
  const isExpected = ({ fromMs }: Span): boolean =>
    unspared.some(
      (run) => fromMs >= fault.fromMs - sampledMs && fromMs <= Math.max(run.untilMs, fault.fromMs) + sampledMs,
    );
  return withoutQuorum.every(isExpected) ? "noSpare" : "lost";
}

function spareOf({ id }: StepRun, steps: readonly RehearsedStep[]): number {
  return steps.find((step) => step.id === id)?.canLose ?? 0;
}

function isAround({ fromMs, untilMs }: StepRun, fault: Span): boolean {
  return fromMs <= fault.fromMs + unseenMs && untilMs >= fault.fromMs;
}
