/** What a rehearsal has shown, in a sentence or two, for the text and for the page. */
import { type RehearsalReport, rehearsalOutcome } from "../../../src/rehearse/rehearsal.ts";

export function rehearsalConclusion(report: RehearsalReport): string {
  const { results, leftOut } = report;
  const played = results.filter(({ outcome }) => outcome !== "absent").length;
  const left = leftOut.reduce((sum, { trials }) => sum + trials.length, 0);
  const rest = left === 0 ? "" : ` ${left} ${left === 1 ? "was" : "were"} left out.`;
  switch (rehearsalOutcome(report)) {
    case "failed":
      return `${results.filter(({ outcome }) => outcome === "failed").length} of ${trialCount(played)} failed.${rest}`;
    case "held":
      return `All ${trialCount(played)} held: no acknowledged write was lost.${rest}`;
    case "untried":
      if (results.length === 0) return "No changes. Nothing to rehearse.";
      return `No fault was tried${untriedReason(report)}. The plan converges without a fault; nothing is known of it with one.`;
  }
}

export function trialCount(count: number): string {
  return `${count} ${count === 1 ? "trial" : "trials"}`;
}

function untriedReason({ results, leftOut, steps }: RehearsalReport): string {
  if (steps.length === 0) return ": the copy's plan has no steps";
  const reasons = [
    ...(results.some(({ outcome }) => outcome === "absent") ? ["no member ran at the step where it was to fail"] : []),
    ...leftOut.filter(({ trials }) => trials.length > 0).map(({ reason }) => reason),
  ];
  return reasons.length === 0 ? "" : `: ${reasons.join("; ")}`;
}
