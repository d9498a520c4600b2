/** Apply as text: repainted on a terminal, in lines elsewhere. */
import { describe, expect, it } from "vitest";
import type { ApplyEvent } from "../../../src/apply/apply-event.ts";
import type { Step } from "../../../src/plan/step.ts";
import { createPaint, fitLine } from "../paint.ts";
import { createScriptedTerminal, type ScriptedTerminal } from "../terminal.fake.ts";
import { createApplyView, writesSentence } from "./apply-view.ts";
import { liveStatus } from "./live-status.ts";

function stepCalled(name: string): Step {
  return {
    id: `startWorker:${name}`,
    title: `start worker ${name}`,
    action: { kind: "startWorker", worker: name },
    addresses: [],
    after: [],
  };
}
const steps = ["w1", "w2", "w3"].map(stepCalled);
const [first, second] = steps as [Step, Step, Step];

/** Shows events, each at its time in milliseconds. */
function shown(live: boolean, events: readonly (readonly [number, ApplyEvent])[]): ScriptedTerminal {
  const terminal = createScriptedTerminal(null, live);
  let now = 0;
  const view = createApplyView(terminal, "apply", () => now);
  for (const [at, event] of events) {
    now = at;
    view.show(event);
  }
  view.close();
  return terminal;
}

const history: readonly (readonly [number, ApplyEvent])[] = [
  [0, { kind: "planned", planId: "p", steps, alreadyDone: ["startWorker:w3"] }],
  [0, { kind: "stepStarted", step: first }],
  [
    100,
    {
      kind: "quorumGate",
      step: first,
      open: true,
      voters: 3,
      healthyVoters: 2,
      quorum: 2,
      canLose: 0,
      reason: "a majority stays healthy throughout",
    },
  ],
  ...[500, 1000, 10_000, 10_500, 20_000].map(
    (at) => [at, { kind: "stepProgress", step: first, elapsedMs: at, detail: "12 entries behind" }] as const,
  ),
  [20_500, { kind: "stepStarted", step: second }],
  [21_000, { kind: "stepCompleted", step: first, elapsedMs: 21_000, adopted: false, id: "7" }],
];

const preparing: ApplyEvent = { kind: "preparing", machines: ["m1", "m2"] };

describe("programs on their way to machines", () => {
  it("are the status of a terminal until the first step", () => {
    const { statuses, output } = shown(true, [[0, preparing], ...history]);
    expect(statuses[0]).toBe("Bringing haplan's programs to m1, m2...");
    expect(statuses.filter((status) => status.includes("Bringing"))).toHaveLength(1);
    expect(output()).not.toContain("Bringing");
  });
});

describe("apply on a terminal", () => {
  it("repaints the current status, and leaves nothing of it behind", () => {
    const { statuses, output } = shown(true, history);
    expect(statuses.at(-1)).toBe("");
    expect(statuses.at(-3)).toContain("start worker w1: 12 entries behind (20.5s)\n  start worker w2 (0.0s)\n");
    expect(statuses.at(-3)).toMatch(/█{8}░{16} 1\/3 steps, 20.5s {2}●●○ can lose 0$/);
    expect(statuses.at(-2)).toContain("2/3 steps");
    expect(output()).not.toContain("Still");
  });

  it("shows the oldest steps and counts the others", () => {
    const running = Array.from({ length: 9 }, (_, index) => ({
      step: stepCalled(`w${index}`),
      startedMs: 0,
      detail: null,
      reports: 0,
    }));
    const lines = liveStatus(
      {
        running,
        nowMs: 61_000,
        startedMs: 0,
        steps: 9,
        done: 0,
        quorum: { voters: 3, healthyVoters: 1, canLose: null },
      },
      createPaint(false),
    );
    expect(lines).toHaveLength(7);
    expect(lines.at(-2)).toBe("  and 4 more");
    expect(lines.at(-1)).toContain("1m1s  ●○○ no quorum");
  });

  it("truncates a line that is too wide, including its colors", () => {
    const red = createPaint(true).red("123456789");
    expect(fitLine(red, 9)).toBe(red);
    expect(fitLine(red, 8)).toBe("1234567…");
  });
});

describe("apply in a log", () => {
  it("prints every ten seconds that a step is still running, and shows no status", () => {
    const { statuses, output } = shown(false, history);
    expect(statuses).toEqual([[]].map(String));
    expect(
      output()
        .split("\n")
        .filter((line) => line.includes("Still")),
    ).toEqual([
      "[1/3] start worker w1: Still going... [10.0s elapsed], 12 entries behind",
      "[1/3] start worker w1: Still going... [20.0s elapsed], 12 entries behind",
    ]);
  });
});

describe("the sentence on write availability", () => {
  const measured = {
    attempts: 100,
    failed: 0,
    firstFailure: null,
    longestGapMs: 240,
    unavailableMs: 0,
    measuredMs: 95_000,
    steps: [],
  };
  const firstFailure = "context deadline exceeded";
  it.each([
    [null, "Write availability was not measured."],
    [measured, "Writes were available all the time (100 probes, longest gap 240 ms)."],
    [{ ...measured, longestGapMs: 1_000 }, "Writes were available all the time (100 probes, longest gap 1.0s)."],
    [{ ...measured, longestGapMs: 1_001 }, "No write failed, but the longest wait was 1.0s (100 probes)."],
    [{ ...measured, longestGapMs: 2_700 }, "No write failed, but the longest wait was 2.7s (100 probes)."],
    [{ ...measured, attempts: 1 }, "Writes were available all the time (1 probe, longest gap 240 ms)."],
    [
      { ...measured, failed: 2, firstFailure, unavailableMs: 900, longestGapMs: 900 },
      "Writes were unavailable for 900 ms (2 of 100 probes failed, longest gap 900 ms). The first error was: context deadline exceeded",
    ],
    [
      { ...measured, failed: 100, firstFailure },
      "No write succeeded in all of 1m35s (100 probes). The first error was: context deadline exceeded",
    ],
  ])("R38, T10, F1: reports the measurement, or that there was none: %#", (availability, sentence) => {
    expect(writesSentence(availability, false)).toBe(sentence);
  });

  it("does not say that writes were available all the time when the budget for gaps is spent", () => {
    expect(writesSentence(measured, true)).toBe("No write failed, but the longest wait was 240 ms (100 probes).");
  });

  it("T10: is printed for a failed apply, too", () => {
    const { output } = shown(false, [[0, { kind: "writeAvailability", availability: null, budgetSpent: false }]]);
    expect(output()).toContain("not measured");
  });
});
