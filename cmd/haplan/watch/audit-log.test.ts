import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../../../src/base/clock.ts";
import { AuditLog, auditFile } from "./audit-log.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-audit-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const clock = { ...systemClock, now: () => Date.parse("2026-11-30T05:00:00Z") };

it("has one line for each act, with its time and process", () => {
  new AuditLog(auditFile(directory), clock).append({ event: "repair", message: "m1", address: "haplan_agent.m1" });
  expect(JSON.parse(readFileSync(auditFile(directory), "utf8"))).toEqual({
    time: "2026-11-30T05:00:00.000Z",
    pid: process.pid,
    event: "repair",
    message: "m1",
    address: "haplan_agent.m1",
  });
});

it("knows the repairs of watchers before it, and outlives a torn line", () => {
  const path = auditFile(directory);
  new AuditLog(path, clock).append({ event: "repair", message: "m1", address: "haplan_agent.m1" });
  appendFileSync(path, '{"time":"2026-11-30T05:00:00.000Z","event":"rep');
  const log = new AuditLog(path, clock);
  log.append({ event: "repair", message: "m2", address: "haplan_agent.m2" });
  log.append({ event: "finding", message: "m3", address: "haplan_agent.m3" });
  expect(log.repairsSince(0).map(({ address }) => address)).toEqual(["haplan_agent.m1", "haplan_agent.m2"]);
  expect(log.repairsSince(clock.now() + 1)).toEqual([]);
});
