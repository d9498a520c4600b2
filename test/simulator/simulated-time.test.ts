import { describe, expect, it } from "vitest";
import { Life, SimulatedTime } from "./simulated-time.ts";

const never = (): boolean => false;

describe("SimulatedTime", () => {
  it("runs events in order of time, and equal times in order of scheduling", async () => {
    const time = new SimulatedTime();
    const ran: string[] = [];
    for (const [delayMs, name] of [
      [5, "c"],
      [1, "a"],
      [5, "d"],
      [3, "b"],
    ] as const) {
      time.after(delayMs, () => ran.push(`${name}@${time.nowMs}`));
    }
    await time.runUntil(10, never);
    expect(ran).toEqual(["a@1", "b@3", "c@5", "d@5"]);
    expect(time.nowMs).toBe(10);
  });

  it("settles all promises before the next event, however long their chains are", async () => {
    const time = new SimulatedTime();
    const ran: string[] = [];
    time.after(1, () => {
      const chain = async (): Promise<void> => {
        for (let step = 0; step < 100; step++) await null;
        ran.push("chain");
      };
      void chain();
    });
    time.after(1, () => ran.push("next event"));
    await time.runUntil(2, never);
    expect(ran).toEqual(["chain", "next event"]);
  });
});

describe("Life", () => {
  it("does nothing after its end, and catches up after a pause", async () => {
    const time = new SimulatedTime();
    const life = new Life(time);
    const ran: string[] = [];
    for (const delayMs of [1, 2, 3, 8]) life.after(delayMs, () => ran.push(`${delayMs}@${time.nowMs}`));
    time.after(1.5, () => life.pause(5));
    time.after(7, () => life.end());
    await time.runUntil(10, never);
    expect(ran).toEqual(["1@1", "2@6.5", "3@6.5"]);
  });
});
