/** The steps of a plan, with what its quorum table says of the worst moment of each. */
import type { Plan, QuorumRow } from "../plan/plan.ts";
import type { Step } from "../plan/step.ts";
import type { RehearsedStep } from "./rehearsal.ts";

/** Steps that take a voter down and bring it back: the table has only the row after it. */
const restarts: ReadonlySet<string> = new Set(["updateAgent", "upgradeAgent"]);

export function rehearsedSteps({ steps, timeline }: Pick<Plan, "steps" | "timeline">): readonly RehearsedStep[] {
  return steps.map((step, position) => ({
    number: position + 1,
    id: step.id,
    title: step.title,
    kind: step.action.kind,
    canLose: worst(step, rowsAround(timeline, position)),
  }));
}

/** The last row before the step, and those of the step. */
function rowsAround(timeline: readonly QuorumRow[], position: number): readonly QuorumRow[] {
  const before = timeline.findLast(({ afterStep }) => afterStep === null || afterStep < position);
  return [...(before === undefined ? [] : [before]), ...timeline.filter(({ afterStep }) => afterStep === position)];
}

function worst({ action }: Step, rows: readonly QuorumRow[]): number | null {
  if (rows.some(({ canLose }) => canLose === null)) return null;
  const least = Math.min(...rows.map(({ canLose }) => canLose ?? 0));
  return Math.max(0, restarts.has(action.kind) ? least - 1 : least);
}
