/** A rehearsal as text: one line for each trial, and what it does not show. */
import {
  type QuorumOutcome,
  type RehearsalReport,
  rehearsalOutcome,
  type TrialResult,
} from "../../../src/rehearse/rehearsal.ts";
import type { RehearsalProgress } from "../../../src/rehearse/run-rehearsal.ts";
import { faultName, trialName } from "../../../src/rehearse/trial-order.ts";
import type { Paint } from "../paint.ts";
import { milliseconds } from "./apply-view.ts";
import { rehearsalConclusion, trialCount } from "./rehearsal-conclusion.ts";
import { table } from "./table.ts";

const quorumWords: Readonly<Record<QuorumOutcome, string>> = {
  held: "held",
  noSpare: "lost (none to spare)",
  lost: "LOST",
};

export function progressText(progress: RehearsalProgress, paint: Paint): string {
  switch (progress.kind) {
    case "leftovers":
      return paint.dim(
        `Removed what ${progress.count === 1 ? "a killed rehearsal" : `${progress.count} killed rehearsals`} had left.`,
      );
    case "copying":
      return paint.dim(`Copying the cluster: ${progress.members.join(", ")} ...`);
    case "planned":
      return paint.dim(trialCount(progress.trials));
    case "trial": {
      const { result, done, trials } = progress;
      const { outcome, record } = result;
      const how =
        outcome === "failed"
          ? paint.red("FAILED")
          : outcome === "absent"
            ? paint.dim("did not happen")
            : paint.green("held");
      return `${paint.dim(`[${done}/${trials}]`)} ${trialName(result.trial)}: ${how} after ${secondsText(record.elapsedMs)}`;
    }
  }
}

export function renderRehearsal(report: RehearsalReport, paint: Paint, page: string | null): string {
  const { results, leftOut, notCovered } = report;
  if (results.length === 0) return [conclusion(report, paint), ...pageLine(page)].join("\n");
  const rows = results.map((result) => rowOf(result, paint));
  return [
    "",
    paint.bold(`Rehearsal of ${report.cluster}`),
    `A copy of ${report.copy.members.join(", ")} (engine ${report.engine}), with ${report.copy.data}.`,
    "",
    ...table(["Step", "Fault", "Writes lost", "Longest gap", "Quorum", "Converged"], rows, paint),
    "",
    ...results.flatMap(({ trial, problems }) =>
      problems.map((problem) => `${paint.red("Failed")}: ${trialName(trial)}: ${problem}`),
    ),
    ...leftOut.map(({ reason, trials }) => leftOutText(reason, trials.length, paint)),
    ...(results.some(({ quorum }) => quorum === "noSpare") ? [noSpareText] : []),
    "",
    "A rehearsal does not show:",
    ...notCovered.map((text) => `  - ${text}`),
    "",
    conclusion(report, paint),
    ...pageLine(page),
  ].join("\n");
}

function pageLine(page: string | null): readonly string[] {
  return page === null ? [] : [`The page is in ${page}.`];
}

const noSpareText =
  "lost (none to spare): at that step the plan's own quorum table says that no voter may fail, so that any plan would stop there.";

function rowOf({ trial, outcome, quorum, record }: TrialResult, paint: Paint): readonly string[] {
  const step = trial === null ? "all" : `${trial.step.number} ${trial.step.title}`;
  const fault = trial === null ? "none" : faultName(trial.fault);
  if (outcome === "absent") return [step, fault, "-", "-", "-", paint.dim("not there at this step")];
  const { writes, longestGapMs, converged, resumes } = record;
  const lost = writes.lost.length;
  return [
    step,
    fault,
    lost === 0 ? `0 of ${writes.acknowledged}` : paint.red(`${lost} of ${writes.acknowledged}`),
    milliseconds(longestGapMs),
    quorum === "lost" ? paint.red(quorumWords.lost) : quorumWords[quorum],
    converged ? convergedText(resumes) : paint.red("no"),
  ];
}

function convergedText(resumes: number): string {
  return resumes === 0 ? "at once" : `after ${resumes} ${resumes === 1 ? "resume" : "resumes"}`;
}

function leftOutText(reason: string, trials: number, paint: Paint): string {
  const count = trials === 0 ? "" : `${trialCount(trials)}, because `;
  return paint.yellow(`Left out: ${count}${reason}.`);
}

function conclusion(report: RehearsalReport, paint: Paint): string {
  const color = { held: paint.green, failed: paint.red, untried: paint.yellow }[rehearsalOutcome(report)];
  return paint.bold(color(rehearsalConclusion(report)));
}

export function secondsText(ms: number): string {
  return `${(ms / 1000).toFixed(1)}s`;
}
