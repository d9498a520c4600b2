import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readLogFile, timeInLine } from "./log-file.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-log-"));
  path = join(directory, "unit.log");
});
afterEach(() => rmSync(directory, { recursive: true }));

const all = { lines: null, sinceMs: null, follow: false };
const at = (second: number): string => `{"level":"info","ts":"2026-11-29T10:00:0${second}.000Z","msg":"${second}"}`;

async function read(
  changes: Partial<typeof all> | { readonly lines: number } | { readonly sinceMs: number },
): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const line of readLogFile(path, { ...all, ...changes }, new AbortController().signal))
    seen.push(line === "current" ? line : line.message);
  return seen;
}

describe("readLogFile", () => {
  it("returns the rotated file first, the last lines, those since a time, and a line without an end", async () => {
    writeFileSync(`${path}.1`, `${at(1)}\n  at its stack\n`);
    writeFileSync(path, `${at(2)}\n${at(3)}`);
    expect(await read({})).toEqual([at(1), "  at its stack", at(2), at(3), "current"]);
    expect(await read({ lines: 1 })).toEqual([at(3), "current"]);
    expect(await read({ lines: 0 })).toEqual(["current"]);
    expect(await read({ sinceMs: Date.parse("2026-11-29T10:00:02Z") })).toEqual([at(2), at(3), "current"]);
  });

  it("returns nothing where there is no file", async () => {
    expect(await read({})).toEqual(["current"]);
  });

  it("follows a file that is written in pieces, renamed and begun again", async () => {
    writeFileSync(path, "old\nha");
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const line of readLogFile(path, { ...all, follow: true }, stop.signal)) {
      const text = line === "current" ? line : line.message;
      seen.push(text);
      if (text === "current") appendFileSync(path, "lf\n");
      if (text === "half") {
        appendFileSync(path, "last of the first\n");
        renameSync(path, `${path}.1`);
        writeFileSync(path, "first of the second\n");
      }
      if (text === "first of the second") stop.abort();
    }
    expect(seen).toEqual(["old", "current", "half", "last of the first", "first of the second"]);
  });
});

describe("the time of a line", () => {
  it.each([
    ['{"level":"info","ts":"2026-11-29T10:00:01.500Z","msg":"x"}', "2026-11-29T10:00:01.500Z"],
    ['{"level":30,"time":1795946401500,"pid":1}', "2026-11-29T10:00:01.500Z"],
    ["2026-11-29T10:00:01Z started", "2026-11-29T10:00:01.000Z"],
    ["[NOTICE] (12) : New worker", null],
    ['{"msg":"at \\"ts\\":\\"never\\""}', null],
  ])("%s", (line, iso) => {
    const timeMs = timeInLine(line);
    expect(timeMs === null ? null : new Date(timeMs).toISOString()).toBe(iso);
  });
});
