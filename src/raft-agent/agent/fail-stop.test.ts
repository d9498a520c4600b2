import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { HaplanError } from "../../base/haplan-error.ts";
import { type AgentEvents, createAgentEvents } from "./agent-events.ts";
import { assertNoLostEntries } from "./disk/lost-entries.ts";
import { assertNotReplaced } from "./disk/replaced-cluster.ts";
import { FailStop } from "./fail-stop.ts";

const dataDir = mkdtempSync(join(tmpdir(), "haplan-fail-stop-"));
mkdirSync(join(dataDir, "member"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

let events: AgentEvents;
let failStop: FailStop;
let reasons: string[];
beforeEach(() => {
  events = createAgentEvents();
  reasons = [];
  const logger = { fatal: () => {} };
  failStop = new FailStop({ dataDir, logger, onStopped: (reason) => reasons.push(reason) }, events);
});

describe("a member that must stop", () => {
  it("says why once, whatever fails after it", () => {
    events.emit("failed", new Error("the disk is gone"));
    events.emit("failed", new Error("the store cannot be written"));
    events.emit("removed");
    expect(reasons).toEqual(["the disk is gone"]);
    expect(failStop.hasStopped).toBe(true);
  });

  it("says that it was removed from the cluster", () => {
    events.emit("removed");
    expect(reasons).toEqual(["the member was removed from the cluster"]);
  });

  it("does not start again with the data of a cluster that was replaced", () => {
    expect(() => assertNotReplaced(dataDir)).not.toThrow();
    events.emit("replaced", "cluster a was replaced by cluster b");
    expect(reasons).toEqual(["the member's cluster was replaced"]);
    expect(() => assertNotReplaced(dataDir)).toThrow(/its cluster was replaced by another one.*cluster a was replaced/);
  });

  it("does not start again with its data when it has lost entries", () => {
    expect(() => assertNoLostEntries({ dataDir })).not.toThrow();
    events.emit("failed", new HaplanError("raft/lost-entries", "This member has lost log entries"));
    expect(() => assertNoLostEntries({ dataDir })).toThrow(/lost entries/);
  });
});

it("a member that is being closed says nothing of what fails then", () => {
  failStop.close();
  events.emit("failed", new Error("the connection is closed"));
  expect([reasons, failStop.hasStopped]).toEqual([[], false]);
});
