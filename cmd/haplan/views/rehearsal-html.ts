/** A rehearsal as one page that needs nothing else: a table of the trials, and the time of each as a picture and as text. */
import type { RehearsalReport, Span, TrialResult } from "../../../src/rehearse/rehearsal.ts";
import { rehearsalOutcome } from "../../../src/rehearse/rehearsal.ts";
import { faultName, trialName } from "../../../src/rehearse/trial-order.ts";
import { rehearsalConclusion, trialCount } from "./rehearsal-conclusion.ts";

const quorumWords = { held: "held", noSpare: "lost (none to spare)", lost: "LOST" } as const;
const outcomeWords = { held: "held", failed: "FAILED", absent: "not there at this step" } as const;

const style = `
:root { color-scheme: light dark; --ok: #1a7f37; --bad: #c1121f; --warn: #9a6700; --line: #8886; --step: #4a78b5; --fault: #b5532a; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
.held { color: var(--ok); } .failed { color: var(--bad); font-weight: 600; } .untried { color: var(--warn); } .absent { opacity: .65; }
.summary { font-size: 1.15rem; font-weight: 600; }
svg { display: block; width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: currentColor; }
.run { fill: var(--line); } .step { fill: var(--step); } .fault { fill: var(--fault); } .gap { fill: var(--warn); } .loss { fill: var(--bad); }
details { border-bottom: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
`;

export function renderRehearsalPage(report: RehearsalReport): string {
  const { cluster, results } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Rehearsal of ${escaped(cluster)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Rehearsal of ${escaped(cluster)}</h1>
<p class="summary ${rehearsalOutcome(report)}">${escaped(rehearsalConclusion(report))}</p>
${results.length === 0 ? "" : detailsOf(report)}</main>
</body>
</html>
`;
}

function detailsOf({ copy, engine, results, leftOut, notCovered, haplanVersion }: RehearsalReport): string {
  return `<p>A copy of ${escaped(copy.members.join(", "))} (engine ${escaped(engine)}), with ${escaped(copy.data)}. haplan ${escaped(haplanVersion)}.</p>
<h2>Trials</h2>
<table>
<thead><tr>${["Step", "Fault", "Result", "Writes lost", "Acknowledged", "Longest gap", "Quorum", "Resumes"].map((title) => `<th scope="col">${title}</th>`).join("")}</tr></thead>
<tbody>
${results.map(rowOf).join("\n")}
</tbody>
</table>
${leftOut.map(({ reason, trials }) => `<p>Left out: ${trials.length === 0 ? "" : `${trialCount(trials.length)}, because `}${escaped(reason)}.</p>`).join("\n")}
<h2>Timelines</h2>
<p>For each trial: when haplan ran and its steps, the fault, waits of writers, and time without a quorum.</p>
${results
  .filter(({ outcome }) => outcome !== "absent")
  .map(timelineOf)
  .join("\n")}
<h2>What a rehearsal does not show</h2>
<ul>${notCovered.map((text) => `<li>${escaped(text)}</li>`).join("")}</ul>
`;
}

function rowOf({ trial, outcome, quorum, record }: TrialResult): string {
  const { writes, longestGapMs, resumes } = record;
  const step = trial === null ? "all" : `${trial.step.number} ${trial.step.title}`;
  const measured =
    outcome === "absent"
      ? ["-", "-", "-", "-", "-"]
      : [
          String(writes.lost.length),
          String(writes.acknowledged),
          `${longestGapMs} ms`,
          quorumWords[quorum],
          String(resumes),
        ];
  const cells = [trial === null ? "none" : faultName(trial.fault), outcomeWords[outcome], ...measured];
  return `<tr><th scope="row">${escaped(step)}</th>${cells.map((text, at) => `<td${at === 1 ? ` class="${outcome}"` : ""}>${escaped(text)}</td>`).join("")}</tr>`;
}

const chart = { width: 1000, left: 90, rowHeight: 20 };

type Row = {
  readonly title: string;
  readonly kind: string;
  readonly spans: readonly (Span & { readonly text: string })[];
};

function timelineOf(result: TrialResult): string {
  const { trial, outcome, problems, record } = result;
  const rows = rowsOf(result);
  const endMs = Math.max(1, record.elapsedMs);
  const height = (rows.length + 1) * chart.rowHeight + 6;
  const x = (ms: number): number => chart.left + ((chart.width - chart.left - 10) * Math.min(ms, endMs)) / endMs;
  const bars = rows.map((row, at) => {
    const y = at * chart.rowHeight + 4;
    const rects = row.spans.map(
      ({ fromMs, untilMs, text }) =>
        `<rect class="${row.kind}" x="${x(fromMs).toFixed(1)}" y="${y}" width="${Math.max(2, x(untilMs) - x(fromMs)).toFixed(1)}" height="13" rx="2"><title>${escaped(text)}</title></rect>`,
    );
    return `<text x="0" y="${y + 11}">${row.title}</text>${rects.join("")}`;
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (part) =>
      `<text x="${x(part * endMs).toFixed(1)}" y="${height - 4}" text-anchor="${part === 1 ? "end" : "start"}">${((part * endMs) / 1000).toFixed(1)} s</text>`,
  );
  return `<details${outcome === "failed" ? " open" : ""}><summary><span class="${outcome}">${outcomeWords[outcome]}</span>: ${escaped(trial === null ? "no fault" : `${trialName(trial)} (${trial.step.title})`)}</summary>
${problems.map((problem) => `<p class="failed">${escaped(problem)}</p>`).join("")}
<svg viewBox="0 0 ${chart.width} ${height}" role="img" aria-label="Timeline of ${escaped(trialName(trial))}; the table below has the same times">${bars.join("")}${ticks.join("")}</svg>
<table><thead><tr><th scope="col">What</th><th scope="col">From</th><th scope="col">Until</th></tr></thead><tbody>
${rows.flatMap(({ spans }) => spans.map(({ text, fromMs, untilMs }) => `<tr><td>${escaped(text)}</td><td>${fromMs} ms</td><td>${untilMs} ms</td></tr>`)).join("\n")}
</tbody></table></details>`;
}

function rowsOf({ trial, record }: TrialResult): readonly Row[] {
  const { runs, steps, fault, gaps, withoutQuorum } = record;
  const ended = (exitCode: number | null): string => (exitCode === null ? "killed" : `exit code ${exitCode}`);
  const rows: readonly Row[] = [
    { title: "haplan", kind: "run", spans: runs.map((run) => ({ ...run, text: `haplan (${ended(run.exitCode)})` })) },
    { title: "steps", kind: "step", spans: steps.map((step) => ({ ...step, text: `step: ${step.title}` })) },
    {
      title: "fault",
      kind: "fault",
      spans: fault === null || trial === null ? [] : [{ ...fault, text: faultName(trial.fault) }],
    },
    { title: "waits", kind: "gap", spans: gaps.map((gap) => ({ ...gap, text: "a writer waited" })) },
    { title: "no quorum", kind: "loss", spans: withoutQuorum.map((span) => ({ ...span, text: "no quorum" })) },
  ];
  return rows.filter(({ spans }) => spans.length > 0);
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (character) => entities[character]!);
}
