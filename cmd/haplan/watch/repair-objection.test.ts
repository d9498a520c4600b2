import { describe, expect, it } from "vitest";
import type { Plan, QuorumRow } from "../../../src/plan/plan.ts";
import type { StepAction } from "../../../src/plan/step.ts";
import { repairObjection } from "./repair-objection.ts";

function plan(kinds: readonly StepAction["kind"][], ...canLose: readonly (number | null)[]): Plan {
  const steps = kinds.map((kind) => ({ title: kind, action: { kind } }));
  const timeline = canLose.map((each, at): Partial<QuorumRow> => ({ title: `row ${at}`, canLose: each }));
  return { steps, timeline } as unknown as Plan;
}

describe("a plan is carried out without asking", () => {
  it.each([
    ["that restarts a dead master", plan(["restartAgent", "awaitQuorum"], 0, 0, 1), "restart"],
    [
      "that restarts one with a certificate that is due",
      plan(["issueCertificate", "restartAgent"], 0, 0, 1),
      "restart",
    ],
    ["that renews a certificate without a restart", plan(["issueCertificate", "reloadAgent"], 1, 1, 1), "renew"],
    ["without a timeline", plan(["startWorker"]), "restart"],
  ] as const)("%s", (_, repair, kind) => {
    expect(repairObjection(repair, kind)).toBeNull();
  });
});

describe("a plan is not carried out without asking", () => {
  it.each([
    ["that replaces a member", plan(["restartAgent", "addLearner", "changeVoters"], 0, 1), "restart", /addLearner/],
    ["that restarts a running master", plan(["issueCertificate", "updateAgent"], 1, 1), "renew", /updateAgent/],
    ["that destroys a machine", plan(["destroyMachine"], 1, 1), "restart", /destroyMachine/],
    ["after which fewer may fail", plan(["reloadAgent"], 1, 0, 1), "renew", /fewer voters could fail/],
    ["that loses the quorum", plan(["restartAgent"], 0, null), "restart", /no quorum/],
  ] as const)("%s", (_, repair, kind, text) => {
    expect(repairObjection(repair, kind)).toMatch(text);
  });
});
