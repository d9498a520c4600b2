/** The quorum and the endpoint after each step: how many vote, must agree and may be lost; how many targets serve. */
import type { Plan, QuorumRow } from "../../../src/plan/plan.ts";
import { quorumOf } from "../../../src/spec/quorum-table.ts";
import type { Paint } from "../paint.ts";

const titleWidth = 37;
const endpointNote = "  endpoint: serving targets of the load balancer, of all its targets";

/** Empty if the plan has no timeline. */
export function renderTimeline(plan: Plan, paint: Paint): readonly string[] {
  if (plan.timeline.length === 0) return [];
  const head = `  ${"step".padEnd(titleWidth)}${columns("voters", "learners", "quorum", "can lose", "endpoint")}`;
  return [
    `${paint.bold("Quorum timeline")} (each row is after the step):`,
    paint.bold(head),
    ...plan.timeline.map((row) => renderRow(row, paint)),
    ...(plan.timeline.some(({ endpoint }) => endpoint !== undefined) ? [paint.dim(endpointNote)] : []),
  ];
}

function renderRow(row: QuorumRow, paint: Paint): string {
  const label = row.afterStep === null ? row.title : `${String(row.afterStep + 1).padStart(2)} ${row.title}`;
  const title = label.length > titleWidth - 1 ? `${label.slice(0, titleWidth - 4)}...` : label;
  const joint = row.votersOutgoing > 0;
  // In a joint configuration each half needs its own majority, the outgoing one first in the text.
  const voters = joint ? `${row.votersOutgoing}+${row.voters}` : String(row.voters);
  const single = row.voters === 0 ? "-" : String(row.quorum);
  const quorum = joint ? `${quorumOf(row.votersOutgoing)}+${row.quorum}` : single;
  const none = row.voters === 0 ? "-" : "no quorum";
  const tolerance = row.canLose === null ? none : String(row.canLose);
  const text = `  ${title.padEnd(titleWidth)}${columns(voters, String(row.learners), quorum, tolerance, endpointText(row))}`;
  return row.canLose === null && row.voters > 0 ? paint.red(text) : row.canLose === 0 ? paint.yellow(text) : text;
}

/** Serving targets, of all targets of the load balancer; `-` while it does not run. */
export function endpointText({ endpoint }: QuorumRow): string {
  return endpoint === undefined ? "-" : `${endpoint.serving}/${endpoint.targets}`;
}

function columns(voters: string, learners: string, quorum: string, canLose: string, endpoint: string): string {
  const tolerance = canLose.padStart(10);
  return `${voters.padStart(6)}${learners.padStart(9)}${quorum.padStart(7)}${tolerance}${endpoint.padStart(9)}`;
}
