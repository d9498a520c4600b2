import { describe, expect, it } from "vitest";
import {
  type LeftOut,
  nothingToRehearse,
  type RehearsalReport,
  type RehearsedStep,
  rehearsalOutcome,
  type Trial,
  type TrialOutcome,
  type TrialResult,
} from "../../../src/rehearse/rehearsal.ts";
import { createPaint } from "../paint.ts";
import { renderRehearsalPage } from "./rehearsal-html.ts";
import { rehearsalToJson } from "./rehearsal-json.ts";
import { progressText, renderRehearsal } from "./rehearsal-view.ts";

const paint = createPaint(false);
const step: RehearsedStep = {
  number: 2,
  id: "updateAgent:m1",
  title: "update agent m1",
  kind: "updateAgent",
  canLose: 0,
};
const killed: Trial = { step, fault: { kind: "kill", member: "m1" } };

function result(trial: Trial, outcome: TrialOutcome): TrialResult {
  return {
    trial,
    outcome,
    quorum: "held",
    problems: outcome === "failed" ? ["it did not converge"] : [],
    record: {
      elapsedMs: 1_000,
      runs: [],
      steps: [],
      fault: null,
      gaps: [],
      withoutQuorum: [],
      writes: { acknowledged: 10, failed: 0, lost: [] },
      longestGapMs: 40,
      converged: true,
      resumes: 0,
    },
  };
}

const nothing = nothingToRehearse({ haplanVersion: "1.2.3", cluster: "demo", engine: "agent" });
const report = (results: readonly TrialResult[], changes: Partial<RehearsalReport> = {}): RehearsalReport => ({
  ...nothing,
  copy: { members: ["m1"], data: "10 generated keys" },
  steps: [step],
  results,
  ...changes,
});
const left = (count: number, reason = "the budget of 5 s was spent"): readonly LeftOut[] => [
  { reason, trials: Array.from({ length: count }, () => killed) },
];
const plain = result(null, "held");

describe("the conclusion of a rehearsal", () => {
  it.each<[RehearsalReport, string, string]>([
    [nothing, "untried", "No changes. Nothing to rehearse."],
    [
      report([plain], { leftOut: left(3) }),
      "untried",
      "No fault was tried: the budget of 5 s was spent. The plan converges without a fault; nothing is known of it with one.",
    ],
    [
      report([plain], { steps: [] }),
      "untried",
      "No fault was tried: the copy's plan has no steps. The plan converges without a fault; nothing is known of it with one.",
    ],
    [
      report([plain, result(killed, "absent")]),
      "untried",
      "No fault was tried: no member ran at the step where it was to fail. The plan converges without a fault; nothing is known of it with one.",
    ],
    [
      report([plain, result(killed, "held"), result(killed, "absent")]),
      "held",
      "All 2 trials held: no acknowledged write was lost.",
    ],
    [
      report([plain, result(killed, "held")], { leftOut: left(1) }),
      "held",
      "All 2 trials held: no acknowledged write was lost. 1 was left out.",
    ],
    [report([result(null, "failed")], { leftOut: left(2) }), "failed", "1 of 1 trial failed. 2 were left out."],
    [report([plain, result(killed, "failed")]), "failed", "1 of 2 trials failed."],
  ])("is held only if a fault was tried (%#)", (seen, outcome, said) => {
    expect(rehearsalOutcome(seen)).toBe(outcome);
    expect(renderRehearsal(seen, paint, null).split("\n").at(-1)).toBe(said);
    expect(renderRehearsalPage(seen)).toContain(`<p class="summary ${outcome}">${said}</p>`);
    expect(rehearsalToJson(seen)).toMatchObject({ outcome, held: outcome === "held" });
  });

  it("counts one trial as one", () => {
    expect(progressText({ kind: "planned", trials: 1 }, paint)).toBe("1 trial");
    expect(renderRehearsal(report([plain], { leftOut: left(1) }), paint, null)).toContain(
      "Left out: 1 trial, because ",
    );
  });
});
