/** A rehearsal as JSON: one document, and a line of the event stream for each trial. docs/rehearse.md describes the fields. */
import {
  type RehearsalReport,
  rehearsalOutcome,
  type Trial,
  type TrialResult,
} from "../../../src/rehearse/rehearsal.ts";
import type { RehearsalProgress } from "../../../src/rehearse/run-rehearsal.ts";
import { trialName } from "../../../src/rehearse/trial-order.ts";
import { snakeKeys } from "./snake-keys.ts";
import type { UiLine } from "./ui-line.ts";

export function rehearsalToJson(report: RehearsalReport): object {
  const { haplanVersion, cluster, engine, copy, steps, notCovered, results, leftOut, elapsedMs } = report;
  return {
    format_version: "1.0",
    haplan_version: haplanVersion,
    cluster,
    engine,
    copy,
    outcome: rehearsalOutcome(report),
    held: rehearsalOutcome(report) === "held",
    elapsed_ms: elapsedMs,
    steps: snakeKeys(steps),
    trials: results.map(resultToJson),
    left_out: leftOut.map(({ reason, trials }) => ({ reason, trials: trials.map(trialToJson) })),
    not_covered: notCovered,
  };
}

function trialToJson(trial: Trial): object {
  return trial === null
    ? { step: null, fault: null }
    : { step: trial.step.id, fault: { member: null, ...trial.fault } };
}

function resultToJson({ trial, outcome, quorum, problems, record }: TrialResult): object {
  const { fault: faultSpan, ...seen } = record;
  const fields = snakeKeys({ ...seen, faultSpan }) as object;
  return { ...trialToJson(trial), outcome, quorum: snakeWord(quorum), problems, ...fields };
}

function snakeWord(word: string): string {
  return word.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

export function trialLine({ result, done, trials }: Extract<RehearsalProgress, { kind: "trial" }>): UiLine {
  const { outcome, trial } = result;
  return {
    type: "rehearsal_trial",
    level: outcome === "failed" ? "error" : "info",
    message: `${trialName(trial)}: ${outcome}`,
    done,
    trials,
    trial: resultToJson(result),
  };
}
