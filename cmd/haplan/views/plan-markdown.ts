/**
 * A plan as a comment on a pull request: a one-line summary, then what a reviewer must see first (warnings, what is
 * destroyed or replaced, the quorum), then the whole plan in a collapsed block.
 */
import type { ChangeAction, Plan } from "../../../src/plan/plan.ts";
import { planHasChanges } from "../../../src/plan/planner.ts";
import { quorumOf } from "../../../src/spec/quorum-table.ts";
import { createPaint } from "../paint.ts";
import { nothingToDo, planSentence, renderPlan } from "./plan-view.ts";
import { endpointText } from "./timeline-view.ts";

/** GitHub rejects comments of more than 65536 characters, GitLab of more than a million. */
const detailsLengthMax = 60_000;

export function renderPlanMarkdown(plan: Plan): string {
  const [first, second] = nothingToDo(plan);
  const title = planHasChanges(plan) ? `**${planSentence(plan)}**` : `**${first}** ${second}`;
  return [
    `### haplan: ${plan.mode === "destroy" ? "destroy " : ""}\`${plan.spec.name}\``,
    "",
    title,
    ...warnings(plan),
    ...drift(plan),
    ...destructive(plan),
    ...timeline(plan),
    ...details(plan),
    "",
    `Plan id \`${plan.id.slice(0, 12)}\`, made by haplan ${plan.binding.haplanVersion} for state serial ${plan.binding.stateSerial}.`,
  ].join("\n");
}

function warnings({ warnings: found }: Plan): readonly string[] {
  if (found.length === 0) return [];
  return [
    "",
    "> [!WARNING]",
    ...found.map(({ summary, detail }) => `> **${cell(summary)}** ${cell(detail ?? "")}`.trimEnd()),
  ];
}

function drift({ drift: found }: Plan): readonly string[] {
  if (found.length === 0) return [];
  const items = found.map(({ address, reason }) => `- \`${address}\`${reason === null ? "" : `: ${reason}`}`);
  return ["", "Changed outside of haplan:", "", ...items];
}

const destroying: ReadonlySet<ChangeAction> = new Set(["delete", "deleteThenCreate", "createThenDelete"]);

function destructive({ changes }: Plan): readonly string[] {
  const found = changes.filter(({ action }) => destroying.has(action));
  if (found.length === 0) return [];
  const items = found.map(({ address, action, reason }) => {
    const verb = action === "delete" ? "destroyed" : "replaced";
    return `- \`${address}\` will be **${verb}**${reason === null ? "" : ` (${reason})`}`;
  });
  return ["", "Destroyed or replaced:", "", ...items];
}

function timeline(plan: Plan): readonly string[] {
  if (plan.timeline.length === 0) return [];
  const rows = plan.timeline.map((row) => {
    const joint = row.votersOutgoing > 0;
    const voters = joint ? `${row.votersOutgoing}+${row.voters}` : String(row.voters);
    const quorum = joint
      ? `${quorumOf(row.votersOutgoing)}+${row.quorum}`
      : row.voters === 0
        ? "-"
        : String(row.quorum);
    const lose = row.canLose === null ? (row.voters === 0 ? "-" : "**no quorum**") : String(row.canLose);
    return `| ${cell(row.title)} | ${voters} | ${row.learners} | ${quorum} | ${lose} | ${endpointText(row)} |`;
  });
  return [
    "",
    "| after the step | voters | learners | quorum | can lose | endpoint |",
    "|---|--:|--:|--:|--:|--:|",
    ...rows,
  ];
}

function details(plan: Plan): readonly string[] {
  if (!planHasChanges(plan)) return [];
  const text = renderPlan(plan, { paint: createPaint(false) });
  const cut = text.length > detailsLengthMax;
  const shown = cut ? text.slice(0, text.lastIndexOf("\n", detailsLengthMax)) : text;
  // Four backticks, so that nothing in a plan ends the block early.
  const end = cut ? ["", `Only the first ${detailsLengthMax} characters are shown.`] : [];
  return [
    "",
    "<details><summary>Show the plan</summary>",
    "",
    "````diff",
    diffMarks(shown),
    "````",
    ...end,
    "",
    "</details>",
  ];
}

/** In a diff block only a sign in the first column is colored. */
function diffMarks(text: string): string {
  return text.replace(/^( *)(-\/\+|\+\/-|[-+~])(?= )/gm, (_, blanks: string, symbol: string) => {
    const sign = symbol.length > 1 || symbol === "~" ? "!" : symbol;
    return `${sign}${blanks}${symbol.length > 1 || symbol === "~" ? symbol : ""}`;
  });
}

function cell(text: string): string {
  return text.replaceAll("\n", " ").replaceAll("|", "\\|");
}
