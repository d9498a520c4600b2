import { describe, expect, it } from "vitest";
import { VirtualClock } from "../base/clock.fake.ts";
import { isSpentError, type SpentGap, stepGaps, WriteGapBudget } from "./write-gap-budget.ts";

describe("the budget for write gaps", () => {
  it("is spent by one gap that is longer, and not by many that are as long", () => {
    const budget = new WriteGapBudget(2_000);
    for (let gaps = 0; gaps < 10; gaps += 1) budget.note(2_000);
    expect(budget.spent).toBeNull();
    budget.note(2_001);
    expect(budget.spent).toEqual({ budgetMs: 2_000, gapMs: 2_001 });
  });

  it("is told of once, and then has the longest gap", () => {
    const budget = new WriteGapBudget(100);
    const told: SpentGap[] = [];
    budget.onSpent((spent) => told.push(spent));
    for (const gapMs of [50, 101, 300, 200]) budget.note(gapMs);
    expect(told).toEqual([{ budgetMs: 100, gapMs: 101 }]);
    expect(budget.spent?.gapMs).toBe(300);
  });

  it("ends the waits of steps when it is spent, and no other wait", async () => {
    const clock = new VirtualClock();
    const budget = new WriteGapBudget(100);
    const ended: string[] = [];
    const step = budget
      .limit(clock)
      .sleep(1_000, new AbortController().signal)
      .catch((error: unknown) => ended.push(isSpentError(error) ? "spent" : "other"));
    const other = clock.sleep(1_000).then(() => ended.push("in time"));
    budget.note(101);
    await Promise.all([step, other]);
    expect(ended).toEqual(["spent", "in time"]);
    await expect(budget.limit(clock).sleep(1)).rejects.toThrow("-max-write-gap allows 100 ms");
  });
});

describe("where the time went", () => {
  const span = (fromMs: number, untilMs: number): { readonly fromMs: number; readonly untilMs: number } => ({
    fromMs,
    untilMs,
  });
  it.each([
    ["a gap within a step", [span(100, 400)], { a: 300 }],
    ["a gap across two steps has a part in each", [span(900, 1_200)], { b: 200, a: 100 }],
    ["the longest gap of a step counts, not the sum", [span(0, 100), span(200, 350), span(400, 500)], { a: 150 }],
    ["a gap beside all steps", [span(2_500, 3_000)], {}],
  ])("is %s", (_, gaps, expected) => {
    const steps = [
      { id: "a", ...span(0, 1_000) },
      { id: "b", ...span(1_000, 2_000) },
    ];
    const found = stepGaps(gaps, steps);
    expect(Object.fromEntries(found.map(({ id, longestGapMs }) => [id, longestGapMs]))).toEqual(expected);
    expect(found.map(({ id }) => id)).toEqual(Object.keys(expected));
  });
});
