/** The checker of watch histories finds each kind of broken guarantee, and none where all are kept. */
import { expect, it } from "vitest";
import { judge, type WriteLog } from "./watch-history.ts";
import { type SeenEvent, WatchJournal } from "./watch-journal.ts";

const kv = (key: string, value: string, modRevision: number, createRevision: number, version: number) => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  modRevision,
  createRevision,
  version,
  lease: 0n,
});
const first = kv("w/1", "a", 2, 2, 1);
const storedEvents: readonly SeenEvent[] = [
  { revision: 2, key: "w/1", put: first, previous: null },
  { revision: 3, key: "w/1", put: kv("w/1", "b", 3, 2, 2), previous: first },
  { revision: 4, key: "w/2", put: kv("w/2", "c", 4, 4, 1), previous: null },
  { revision: 5, key: "w/1", put: null, previous: kv("w/1", "b", 3, 2, 2) },
];
const log: WriteLog = {
  acknowledged: new Map([
    [2, [{ key: "w/1", value: "a" }]],
    [3, [{ key: "w/1", value: "b" }]],
    [5, [{ key: "w/1", value: null }]],
  ]),
  unknown: new Set(["c"]),
  lastRevision: 5,
  compacted: 0,
  finalValues: new Map([["w/2", "c"]]),
};

function journal(name: string, events: readonly SeenEvent[]): WatchJournal {
  const made = new WatchJournal({ name, key: "w/", rangeEnd: "w0", filters: [], prevKv: true }, 2);
  made.events.push(...events);
  made.next = 6;
  return made;
}

const changed = (at: number, change: Partial<SeenEvent>): SeenEvent[] =>
  storedEvents.map((event, index) => (index === at ? { ...event, ...change } : event));

it("accepts a watcher that received everything", () => {
  expect(judge(log, [journal("x", storedEvents), journal("y", storedEvents)])).toEqual([]);
});

it.each([
  ["an event that one watcher misses", storedEvents.slice(1), "x: did not receive w/1 at 2"],
  ["an event that comes twice", [...storedEvents, storedEvents[3]!], "x: received twice: 5 w/1"],
  ["another value", changed(1, { put: kv("w/1", "z", 3, 2, 2) }), "y: differs at 3 w/1"],
  ["a wrong version", changed(2, { put: kv("w/2", "c", 4, 4, 9) }), "y: differs at 4 w/2"],
  ["a wrong previous value", changed(1, { previous: null }), "x: the previous value of w/1 at 3 is wrong"],
])("finds %s", (_name, events, fault) => {
  expect(judge(log, [journal("x", events), journal("y", storedEvents)])).toContain(fault);
});

it("finds an acknowledged write without an event, and an event without a write", () => {
  const missing = storedEvents.filter(({ revision }) => revision !== 3);
  expect(judge(log, [journal("x", missing)])).toContain("no watcher received w/1 at 3, which was acknowledged");
  expect(judge({ ...log, unknown: new Set() }, [journal("x", storedEvents)])).toContain("no writer wrote revision 4");
});
