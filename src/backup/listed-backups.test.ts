import { describe, expect, it } from "vitest";
import { expiredBackups, type ListedBackup, type Retention, timeName } from "./listed-backups.ts";

const day = 86_400_000;
const nowMs = 100 * day;

/** Of these ages in days, the newest first; a name with `!` is of another cluster, one with `?` has no manifest. */
function backups(...names: readonly string[]): readonly ListedBackup[] {
  return names.map((name) => {
    const createdAt = new Date(nowMs - Number.parseFloat(name) * day).toISOString();
    const cluster = name.endsWith("!") ? "other" : "demo";
    const manifest = { cluster, createdAt } as unknown as NonNullable<ListedBackup["manifest"]>;
    return { path: name, fileBytes: 1, manifest: name.endsWith("?") ? null : manifest };
  });
}

describe("the retention of backups", () => {
  it.each<[string, Retention, readonly string[], readonly string[]]>([
    ["keeps everything if it says nothing", {}, ["1", "50", "90"], []],
    ["keeps a number", { count: 2 }, ["1", "2", "3", "4"], ["3", "4"]],
    ["keeps an age", { maxAgeDays: 7 }, ["1", "6.9", "7.1", "30"], ["7.1", "30"]],
    ["removes what either no longer keeps", { count: 3, maxAgeDays: 7 }, ["1", "8", "2", "3"], ["8", "3"]],
    ["never removes the newest, whatever its age", { count: 1, maxAgeDays: 7 }, ["60", "70"], ["70"]],
    ["leaves other clusters and unknown files alone", { count: 1 }, ["1", "2!", "3?", "4"], ["4"]],
    ["does not take another cluster's for the newest", { maxAgeDays: 7 }, ["1!", "9", "10"], ["10"]],
    ["has nothing to do without backups", { count: 1 }, [], []],
  ])("%s", (_, retention, names, expired) => {
    expect(expiredBackups(backups(...names), "demo", retention, nowMs)).toEqual(expired);
  });
});

it("names of backups sort as time passes", () => {
  const names = [0, 1, 999, 60_000, day, 365 * day].map(timeName);
  expect([...names].sort()).toEqual(names);
});
