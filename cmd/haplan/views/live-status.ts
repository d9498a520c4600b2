/** What apply does right now, in the lines at the bottom of a terminal: running steps, how far it is, the quorum. */
import type { Step } from "../../../src/plan/step.ts";
import type { Paint } from "../paint.ts";

export type RunningStep = {
  readonly step: Step;
  readonly startedMs: number;
  /** What it waits for. */
  detail: string | null;
  /** Lines about it so far, where nothing is painted over. */
  reports: number;
};

export type LiveQuorum = { readonly voters: number; readonly healthyVoters: number; readonly canLose: number | null };

export type LiveFacts = {
  /** Oldest first. */
  readonly running: readonly RunningStep[];
  readonly nowMs: number;
  readonly startedMs: number;
  readonly steps: number;
  readonly done: number;
  /** As the last gate saw it; null before the first. */
  readonly quorum: LiveQuorum | null;
};

const runningShownMax = 5;
const barWidth = 24;

export function liveStatus(facts: LiveFacts, paint: Paint): readonly string[] {
  const { running, nowMs } = facts;
  const shown = running.slice(0, runningShownMax).map(({ step, startedMs, detail }) => {
    const waiting = detail === null ? "" : `: ${detail}`;
    return `  ${step.title}${waiting} ${paint.dim(`(${seconds(nowMs - startedMs)})`)}`;
  });
  const hidden = running.length - shown.length;
  return [...shown, ...(hidden > 0 ? [paint.dim(`  and ${hidden} more`)] : []), progressLine(facts, paint)];
}

function progressLine({ done, steps, nowMs, startedMs, quorum }: LiveFacts, paint: Paint): string {
  const filled = steps === 0 ? 0 : Math.floor((done / steps) * barWidth);
  const bar = `${paint.green("█".repeat(filled))}${paint.dim("░".repeat(barWidth - filled))}`;
  const counts = `${done}/${steps} steps, ${seconds(nowMs - startedMs)}`;
  return `  ${bar} ${counts}${quorum === null ? "" : `  ${quorumBar(quorum, paint)}`}`;
}

/** One mark for each voter, filled for a healthy one. */
function quorumBar({ voters, healthyVoters, canLose }: LiveQuorum, paint: Paint): string {
  const marks = `${"●".repeat(healthyVoters)}${"○".repeat(Math.max(0, voters - healthyVoters))}`;
  if (canLose === null) return paint.red(`${marks} no quorum`);
  return (canLose === 0 ? paint.yellow : paint.green)(`${marks} can lose ${canLose}`);
}

export function seconds(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`;
  return `${Math.floor(ms / 60_000)}m${Math.floor((ms % 60_000) / 1000)}s`;
}
