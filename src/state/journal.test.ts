import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../base/clock.ts";
import type { JournalRecord } from "../plan/journal-record.ts";
import { createJournalFile, type Journal } from "./journal.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-journal-"));
  path = join(directory, "made", "journal.jsonl");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const clock = { ...systemClock, now: () => Date.UTC(2026, 0, 2) };
const open = (): Journal => createJournalFile({ path, clock, beforeWrite: async () => {} });

async function fill(count: number): Promise<void> {
  const journal = open();
  for (let index = 0; index < count; index++) {
    await journal.append({ planId: "p", stepId: `step:${index}`, phase: "intent" });
  }
}

describe("journal", () => {
  it("records come back numbered and dated, also from a journal opened anew", async () => {
    await open().append({
      planId: "p",
      stepId: "startAgent:m1",
      phase: "intent",
      action: { kind: "stopLoadBalancer" },
    });
    await open().append({ planId: "p", stepId: "startAgent:m1", phase: "done", result: { pid: 12 } });
    const at = "2026-01-02T00:00:00.000Z";
    expect(await open().read()).toEqual([
      { sequence: 1, at, planId: "p", stepId: "startAgent:m1", phase: "intent", action: { kind: "stopLoadBalancer" } },
      { sequence: 2, at, planId: "p", stepId: "startAgent:m1", phase: "done", result: { pid: 12 } },
    ]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("a journal cut at any byte gives the whole records before the cut, and goes on from there", async () => {
    await fill(3);
    const bytes = readFileSync(path);
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      const whole = bytes.subarray(0, length).filter((byte) => byte === 0x0a).length;
      expect(await open().read()).toHaveLength(whole);
      if (length % 16 !== 0) continue;
      await open().append({ planId: "p", stepId: "next", phase: "intent" });
      expect((await open().read()).map(({ sequence }) => sequence)).toEqual(
        Array.from({ length: whole + 1 }, (_, index) => index + 1),
      );
    }
  });

  it("a last line of zeros, as file systems leave after a crash, is cut off", async () => {
    await fill(2);
    truncateSync(path, statSync(path).size + 100);
    expect(await open().read()).toHaveLength(2);
    await open().append({ planId: "p", stepId: "next", phase: "intent" });
    expect(await open().read()).toHaveLength(3);
  });

  it("a flipped bit anywhere but in the last line is refused, and nothing is written", async () => {
    await fill(3);
    const bytes = readFileSync(path);
    const lastLine = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
    for (let at = 0; at < lastLine; at += 7) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x01;
      writeFileSync(path, damaged);
      await expect(open().read()).rejects.toMatchObject({ code: "journal/damaged" });
      await expect(open().append({ planId: "p", stepId: "x", phase: "intent" })).rejects.toThrow("damaged at line");
      expect(readFileSync(path)).toEqual(damaged);
    }
  });

  it("a missing line is noticed", async () => {
    await fill(3);
    const lines = readFileSync(path, "utf8").split("\n");
    writeFileSync(path, [lines[0], lines[2], ""].join("\n"));
    await expect(open().read()).rejects.toMatchObject({ code: "journal/damaged" });
  });

  it("clearing keeps the last one beside it and numbers anew", async () => {
    await fill(2);
    const journal = open();
    await journal.clear();
    expect(await journal.read()).toEqual([]);
    expect(existsSync(`${path}.previous`)).toBe(true);
    await journal.append({ planId: "q", stepId: "x", phase: "intent" });
    expect((await journal.read()).map(({ sequence }) => sequence)).toEqual([1]);
  });

  it("clearing keeps that of a restore beside those of later plans", async () => {
    const journal = open();
    const action = { kind: "restoreMember" } as JournalRecord["action"] & object;
    await journal.append({ planId: "restore", stepId: "x", phase: "intent", action });
    await journal.clear();
    expect([existsSync(`${path}.previous`), existsSync(`${path}.restored`)]).toEqual([false, true]);
    await fill(1);
    await journal.clear();
    expect([existsSync(`${path}.previous`), existsSync(`${path}.restored`)]).toEqual([true, true]);
  });

  it("clearing what is not there does nothing", async () => {
    await open().clear();
    expect(existsSync(`${path}.previous`)).toBe(false);
  });
});
