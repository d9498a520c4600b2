/** The quorum and the endpoint after each step: how many vote, must agree and may be lost; how many targets serve. */
import type { Plan, QuorumRow } from "../../../src/plan/plan.ts";
import { quorumOf } from "../../../src/spec/quorum-table.ts";
import type { Paint } from "../paint.ts";

const titleWidths = { least: 24, most: 72 };
const heads = ["voters", "learners", "quorum", "can lose", "endpoint"] as const;
const noQuorum = "no quorum";
/** Of the columns of numbers, as wide as what is in them. */
const widths = heads.map((head) => (head === "can lose" ? noQuorum : head).length);
const gap = "  ";
const endpointNote = "  endpoint: serving targets of the load balancer, of all its targets";

/** Empty if the plan has no timeline. Titles that are too long for `columns` go on in the next line. */
export function renderTimeline(plan: Plan, paint: Paint, columns: number | null): readonly string[] {
  if (plan.timeline.length === 0) return [];
  const labels = plan.timeline.map(labelOf);
  const numbersWidth = widths.reduce((sum, width) => sum + gap.length + width, 0);
  const room = columns === null ? titleWidths.most : Math.max(titleWidths.least, columns - gap.length - numbersWidth);
  const width = Math.min(Math.max(...labels.map(({ length }) => length)), titleWidths.most, room);
  const line = (title: string, cells: readonly string[]): string =>
    [`${gap}${title.padEnd(width)}`, ...cells.map((cell, column) => cell.padStart(widths[column] ?? 0))].join(gap);
  return [
    `${paint.bold("Quorum timeline")} (each row is after the step):`,
    paint.bold(line("step", heads)),
    ...plan.timeline.flatMap((row, at) => {
      const [first = "", ...rest] = wrapped(labels[at] ?? "", width);
      return [line(first, cellsOf(row)), ...rest.map((text) => `${gap}${text}`)].map(colorOf(row, paint));
    }),
    ...(plan.timeline.some(({ endpoint }) => endpoint !== undefined) ? [paint.dim(endpointNote)] : []),
  ];
}

function labelOf({ afterStep, title }: QuorumRow): string {
  return afterStep === null ? title : `${String(afterStep + 1).padStart(2)} ${title}`;
}

/** At spaces; the lines after the first are indented to the titles. */
function wrapped(label: string, width: number): readonly string[] {
  const lines = [""];
  for (const [at, word] of label.split(" ").entries()) {
    const last = lines.at(-1) ?? "";
    if (at === 0) lines[0] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`   ${word}`);
  }
  return lines;
}

function cellsOf(row: QuorumRow): readonly string[] {
  const joint = row.votersOutgoing > 0;
  // In a joint configuration each half needs its own majority, the outgoing one first in the text.
  const voters = joint ? `${row.votersOutgoing}+${row.voters}` : String(row.voters);
  const single = row.voters === 0 ? "-" : String(row.quorum);
  const quorum = joint ? `${quorumOf(row.votersOutgoing)}+${row.quorum}` : single;
  const none = row.voters === 0 ? "-" : noQuorum;
  const tolerance = row.canLose === null ? none : String(row.canLose);
  return [voters, String(row.learners), quorum, tolerance, endpointText(row)];
}

function colorOf({ canLose, voters }: QuorumRow, paint: Paint): (text: string) => string {
  if (canLose === null && voters > 0) return paint.red;
  return canLose === 0 ? paint.yellow : (text) => text;
}

/** Serving targets, of all targets of the load balancer; `-` while it does not run. */
export function endpointText({ endpoint }: QuorumRow): string {
  return endpoint === undefined ? "-" : `${endpoint.serving}/${endpoint.targets}`;
}
