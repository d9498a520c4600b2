import { expect, it } from "vitest";
import type { QuorumRow } from "../plan/plan.ts";
import type { Step } from "../plan/step.ts";
import { rehearsedSteps } from "./rehearsed-steps.ts";

const row = (afterStep: number | null, canLose: number | null): QuorumRow => ({
  afterStep,
  title: "",
  voters: 3,
  votersOutgoing: 0,
  learners: 0,
  healthyVoters: 3,
  quorum: 2,
  canLose,
});
const step = (kind: Step["action"]["kind"], at: number): Step => ({
  id: `${kind}:${at}`,
  title: kind,
  action: { kind } as Step["action"],
  addresses: [],
  after: [],
});

it("a step may lose the least of its own rows and the one before it; a restart one less", () => {
  const steps = [step("issueCertificate", 0), step("updateAgent", 1), step("awaitQuorum", 2), step("stopAgent", 3)];
  const timeline = [row(null, 1), row(2, 1), row(3, 0)];
  expect(rehearsedSteps({ steps, timeline }).map(({ canLose }) => canLose)).toEqual([1, 0, 1, 0]);
  expect(rehearsedSteps({ steps, timeline: [row(null, null)] }).map(({ canLose }) => canLose)).toEqual([
    null,
    null,
    null,
    null,
  ]);
});
