import { describe, expect, it } from "vitest";
import { assessTrial } from "./assess-trial.ts";
import type { RehearsedStep, Trial, TrialRecord } from "./rehearsal.ts";

const steps: readonly RehearsedStep[] = [
  { number: 1, id: "a", title: "update agent m1", kind: "updateAgent", canLose: 0 },
  { number: 2, id: "b", title: "wait", kind: "awaitQuorum", canLose: 1 },
  { number: 3, id: "c", title: "update agent m2", kind: "updateAgent", canLose: 0 },
];
const at = (number: number): Trial => ({ step: steps[number - 1]!, fault: { kind: "kill", member: "m3" } });
const span = (fromMs: number, untilMs: number) => ({ fromMs, untilMs });
const quiet: TrialRecord = {
  elapsedMs: 20_000,
  runs: [{ ...span(0, 10_000), exitCode: 0, error: null }],
  steps: [
    { id: "a", title: "", kind: "updateAgent", ...span(1_000, 2_000) },
    { id: "b", title: "", kind: "awaitQuorum", ...span(2_000, 4_000) },
    { id: "c", title: "", kind: "updateAgent", ...span(4_000, 5_000) },
  ],
  fault: span(1_010, 1_010),
  gaps: [],
  withoutQuorum: [],
  writes: { acknowledged: 100, failed: 2, lost: [] },
  longestGapMs: 40,
  converged: true,
  resumes: 1,
};
const assess = (trial: Trial, record: Partial<TrialRecord>) => assessTrial(trial, { ...quiet, ...record }, steps);

describe("a trial", () => {
  it("holds without a loss", () => {
    expect(assess(at(1), {})).toMatchObject({ outcome: "held", quorum: "held", problems: [] });
  });

  it("fails with a lost write, and names it", () => {
    const { outcome, problems } = assess(at(1), { writes: { acknowledged: 9, failed: 0, lost: ["/k1"] } });
    expect({ outcome, problems }).toEqual({
      outcome: "failed",
      problems: ["kill m3: 1 acknowledged write is gone: /k1"],
    });
  });

  it("fails if the plan does not converge, with the last error", () => {
    const runs = [{ ...span(0, 1), exitCode: 1, error: "Step failed" }];
    expect(assess(at(1), { converged: false, runs }).problems).toEqual([
      "kill m3: the plan did not converge after 1 more applies (Step failed)",
    ]);
  });

  it.each([
    ["in a step that has no voter to spare", at(1), span(1_010, 1_010), [span(1_100, 1_900)], "noSpare"],
    ["later in that step, whose check had passed", at(1), span(1_010, 1_010), [span(1_990, 2_300)], "noSpare"],
    [
      "in a step that begins before the fault could be seen",
      at(2),
      span(3_800, 3_800),
      [span(4_300, 4_600)],
      "noSpare",
    ],
    ["in a later step", at(1), span(1_010, 1_010), [span(1_100, 1_900), span(4_200, 4_900)], "lost"],
    ["where a voter may fail", at(2), span(2_100, 2_100), [span(2_200, 2_400)], "lost"],
    ["without a fault", null, null, [span(1_500, 1_700)], "lost"],
  ] as const)("that loses the quorum %s", (_, trial, fault, withoutQuorum, quorum) => {
    const result = assess(trial, { fault, withoutQuorum });
    expect(result).toMatchObject({ quorum, outcome: quorum === "lost" ? "failed" : "held" });
  });

  it("whose member was not there is neither held nor failed", () => {
    expect(assess(at(1), { fault: null }).outcome).toBe("absent");
  });
});
