import { expect, it } from "vitest";
import { pastRepairs } from "./past-repairs.ts";

const time = "2026-11-30T05:00:00.000Z";
const line = (event: string, more: object = {}): string =>
  JSON.stringify({ time, event, address: "haplan_raft_member.m2", ...more });
const begun = line("repair", { repair: "replace", spare: "s1", plan_id: "p1" });

it.each<[string, readonly string[], string | null]>([
  ["that succeeded", [begun, line("repaired", { plan_id: "p1" })], "repaired"],
  ["that failed", [begun, line("failed", { plan_id: "p1" })], "failed"],
  ["that was cut short", [begun], null],
  ["that was cut short, before another one that did not begin", [begun, line("failed")], null],
  ["beside the end of another one", [begun, line("repaired", { address: "haplan_agent.m1", plan_id: "p1" })], null],
])("tells the end of a repair %s", (_, lines, outcome) => {
  const address = "haplan_raft_member.m2";
  expect(pastRepairs(lines)).toMatchObject([
    { address, atMs: Date.parse(time), kind: "replace", spare: "s1", outcome },
  ]);
});

it("ignores lines that are torn, and those that are no repairs", () => {
  expect(pastRepairs(["", "{", "null", '"text"', line("finding"), begun.slice(0, 40)])).toEqual([]);
});
