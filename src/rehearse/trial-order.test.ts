import { describe, expect, it } from "vitest";
import type { RehearsedStep } from "./rehearsal.ts";
import { orderTrials, selectSteps, trialName } from "./trial-order.ts";

const step = (number: number, kind: RehearsedStep["kind"]): RehearsedStep => ({
  number,
  id: `${kind}:${number}`,
  title: `${kind} ${number}`,
  kind,
  canLose: 1,
});
const steps = [step(1, "issueCertificate"), step(2, "addLearner"), step(3, "changeVoters"), step(4, "recordState")];
const members = ["m1", "m2", "m3"];

describe("the order of trials", () => {
  const trials = orderTrials({ steps, members, faults: ["kill", "pause", "cut", "haplan"] });

  it("begins without a fault, and has each fault at each step exactly once", () => {
    expect(trials[0]).toBeNull();
    const names = trials.map(trialName);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toHaveLength(1 + steps.length * (3 * members.length + 1));
  });

  it("has the steps that change the quorum before the others, each with another fault in turn", () => {
    const firstOther = trials.findIndex((trial) => trial?.step.kind === "issueCertificate");
    expect(trials.slice(1, firstOther).every((trial) => [2, 3].includes(trial!.step.number))).toBe(true);
    expect(trials.slice(firstOther).every((trial) => [1, 4].includes(trial!.step.number))).toBe(true);
    expect(trials.slice(1, 5).map((trial) => trial!.step.number)).toEqual([2, 3, 2, 3]);
    expect(new Set(trials.slice(1, 5).map((trial) => JSON.stringify(trial!.fault))).size).toBe(4);
  });

  it.each([1, 2, 3, 5, 7])("is complete for %i members", (count) => {
    const some = Array.from({ length: count }, (_, at) => `m${at + 1}`);
    for (const faults of [["kill"], ["kill", "haplan"], ["pause", "cut"]] as const) {
      const names = orderTrials({ steps, members: some, faults }).map(trialName);
      const perStep = faults.reduce((sum, kind) => sum + (kind === "haplan" ? 1 : count), 0);
      expect(new Set(names).size).toBe(1 + steps.length * perStep);
    }
  });
});

describe("-steps", () => {
  it.each([
    [["3"], [3]],
    [["2-4"], [2, 3, 4]],
    [
      ["recordState", "1"],
      [1, 4],
    ],
  ] as const)("%j selects %j", (words, numbers) => {
    expect(selectSteps(steps, words)).toEqual({
      steps: steps.filter(({ number }) => numbers.includes(number as never)),
    });
  });

  it.each(["9", "moveLeader", "x"])("rejects %s", (word) => {
    expect(selectSteps(steps, ["1", word])).toEqual({ unknown: word });
  });
});
