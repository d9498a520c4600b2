import { describe, expect, it } from "vitest";
import { stepTitle } from "../plan/step-name.ts";
import { differingSteps, stepsAsPlayed } from "./played-steps.ts";
import type { RehearsedStep } from "./rehearsal.ts";

const step = (number: number, kind: RehearsedStep["kind"], title: string): RehearsedStep => ({
  number,
  id: `real:${number}`,
  title,
  kind,
  canLose: 1,
});
const machineOf = (generation: number): string =>
  stepTitle({ kind: "createMachine", machine: "m2", address: "", zone: null, generation });

describe("the steps of a copy", () => {
  /** m2 was replaced once before. */
  const planned = [
    step(1, "createMachine", machineOf(3)),
    step(2, "startAgent", "start agent m2"),
    step(3, "destroyMachine", stepTitle({ kind: "destroyMachine", machine: "m2", generation: 2 })),
  ];
  const played = [
    { id: "createMachine:m2#2", title: machineOf(2), kind: "createMachine" as const },
    { id: "startAgent:m2", title: "start agent m2", kind: "startAgent" as const },
    {
      id: "destroyMachine:m2#1",
      title: stepTitle({ kind: "destroyMachine", machine: "m2", generation: 1 }),
      kind: "destroyMachine" as const,
    },
  ];

  it("are those of the real plan also where generations differ, which is no difference to tell", () => {
    const steps = stepsAsPlayed(planned, played);
    expect(steps).toEqual(planned.map((each, at) => ({ ...each, id: played[at]!.id })));
    expect(differingSteps(planned, steps)).toEqual([]);
  });

  it("that only one of the two plans has are named", () => {
    const steps = stepsAsPlayed(planned, [
      ...played.slice(1),
      { id: "x", title: "take a snapshot", kind: "takeSnapshot" },
    ]);
    expect(steps.at(-1)).toMatchObject({ number: 4, title: "take a snapshot" });
    expect(differingSteps(planned, steps)).toEqual([
      "Steps that the copy's plan does not have: create machine m2 (generation 3).",
      "Steps that only the copy's plan has: take a snapshot.",
    ]);
  });
});
