/** The current status of apply, in the bottom lines of a terminal: running steps, progress, quorum. */
import type { Step } from "../../../src/plan/step.ts";
import type { Paint } from "../paint.ts";

export type RunningStep = {
  readonly step: Step;
  readonly startedMs: number;
  /** The condition that it waits for. */
  detail: string | null;
  /** Lines printed about it so far, where output cannot be repainted. */
  reports: number;
};

export type LiveQuorum = { readonly voters: number; readonly healthyVoters: number; readonly canLose: number | null };

export type LiveState = {
  /** Oldest first. */
  readonly running: readonly RunningStep[];
  readonly nowMs: number;
  readonly startedMs: number;
  readonly steps: number;
  readonly done: number;
  /** As of the last gate; null before the first. */
  readonly quorum: LiveQuorum | null;
};

const runningShownMax = 5;
const barWidth = 24;

export function liveStatus(state: LiveState, paint: Paint): readonly string[] {
  const { running, nowMs } = state;
  const shown = running.slice(0, runningShownMax).map(({ step, startedMs, detail }) => {
    const waiting = detail === null ? "" : `: ${detail}`;
    return `  ${step.title}${waiting} ${paint.dim(`(${seconds(nowMs - startedMs)})`)}`;
  });
  const hidden = running.length - shown.length;
  return [...shown, ...(hidden > 0 ? [paint.dim(`  and ${hidden} more`)] : []), progressLine(state, paint)];
}

function progressLine({ done, steps, nowMs, startedMs, quorum }: LiveState, paint: Paint): string {
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
