import { describe, expect, it } from "vitest";
import type { LogEntry, LogEvent } from "./log-entry.ts";
import { mergeLogs } from "./merge-logs.ts";

const entry = (machine: string, timeMs: number): LogEntry => ({ machine, unit: "agent", timeMs, message: `${timeMs}` });

async function* log(machine: string, times: readonly number[], live: readonly number[] = []): AsyncGenerator<LogEvent> {
  for (const timeMs of times) yield entry(machine, timeMs);
  yield "current";
  for (const timeMs of live) yield entry(machine, timeMs);
}

async function texts(merged: AsyncIterable<LogEvent>): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const event of merged) seen.push(event === "current" ? event : `${event.machine} ${event.timeMs}`);
  return seen;
}

const failures: string[] = [];
const onFailure = (index: number, error: unknown): void => void failures.push(`${index}: ${String(error)}`);

describe("mergeLogs", () => {
  it("sorts what was logged before by time, and says once when all of it is there", async () => {
    const merged = mergeLogs([log("m1", [1, 4, 6]), log("m2", [2, 5]), log("m3", [])], { onFailure });
    expect(await texts(merged)).toEqual(["m1 1", "m2 2", "m1 4", "m2 5", "m1 6", "current"]);
  });

  it("returns later entries as they come", async () => {
    const merged = mergeLogs([log("m1", [1], [9]), log("m2", [2], [8])], { onFailure });
    const seen = await texts(merged);
    expect(seen.slice(0, 2)).toEqual(["m1 1", "m2 2"]);
    expect(seen.toSorted()).toEqual(["current", "m1 1", "m1 9", "m2 2", "m2 8"]);
  });

  it("continues without a log that fails", async () => {
    async function* failing(): AsyncGenerator<LogEvent> {
      yield entry("m2", 2);
      throw new Error("no route");
    }
    failures.length = 0;
    expect(await texts(mergeLogs([log("m1", [1, 3]), failing()], { onFailure }))).toEqual([
      "m1 1",
      "m2 2",
      "m1 3",
      "current",
    ]);
    expect(failures).toEqual(["1: Error: no route"]);
  });

  it("waits for a log that has returned nothing as long as it is told to", async () => {
    let release = (): void => {};
    const late = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* slow(): AsyncGenerator<LogEvent> {
      await late;
      yield* log("m2", [1]);
    }
    let giveUp = (): void => {};
    const patience = new Promise<void>((resolve) => {
      giveUp = resolve;
    });
    const merged = mergeLogs([log("m1", [2, 3]), slow()], { onFailure, patience })[Symbol.asyncIterator]();
    const first = merged.next();
    expect(await Promise.race([first, new Promise((resolve) => setTimeout(resolve, 20))])).toBeUndefined();
    giveUp();
    expect((await first).value).toMatchObject({ machine: "m1", timeMs: 2 });
    release();
    const rest = [await merged.next(), await merged.next(), await merged.next()].map(({ value }) => value);
    expect(rest).toContainEqual(entry("m2", 1));
    expect(rest.at(-1)).toBe("current");
  });

  it("reads no further ahead than it needs, and ends its logs when it is ended", async () => {
    let read = 0;
    let ended = false;
    async function* endless(): AsyncGenerator<LogEvent> {
      try {
        for (;;) yield entry("m1", (read += 1));
      } finally {
        ended = true;
      }
    }
    for await (const _ of mergeLogs([endless(), log("m2", [1, 2, 3])], { onFailure })) if (read >= 1000) break;
    expect(read).toBeLessThan(1100);
    expect(ended).toBe(true);
  });
});
