import { describe, expect, it } from "vitest";
import type { JournalRecord } from "../../src/plan/journal-record.ts";
import type { StepAction } from "../../src/plan/step.ts";
import { eventOfLog, eventsOfJournal, writerOfLog } from "./timeline-events.ts";

const names: Readonly<Record<string, string>> = { "2a2420235366859a": "m1", "8e9e05c52164694d": "m2" };

function textOf(message: string): readonly (string | null)[] | null {
  const entry = { machine: "m3", unit: "agent", timeMs: 0, message };
  const found = eventOfLog(entry, (id) => names[id] ?? id);
  return found === null ? null : [found.event.kind, found.event.text, found.key];
}

const lines: readonly (readonly [string, string, readonly (string | null)[] | null])[] = [
  [
    "an election of the agent",
    '{"level":"info","ts":"2026-11-30T01:31:00.809Z","leader":"2a2420235366859a","term":2,"role":"leader","msg":"leader elected"}',
    ["election", "m1 is the leader in term 2", "election 2 2a2420235366859a"],
  ],
  [
    "an election of etcd 3.6",
    '{"level":"info","ts":"2026-11-30T01:31:06.160026Z","logger":"raft","caller":"v3@v3.6.0/node.go:370","msg":"raft.node: 8e9e05c52164694d elected leader 8e9e05c52164694d at term 2"}',
    ["election", "m2 is the leader in term 2", "election 2 8e9e05c52164694d"],
  ],
  [
    "another leader of etcd",
    '{"msg":"raft.node: 8e9e05c52164694d changed leader from 8e9e05c52164694d to 2a2420235366859a at term 17"}',
    ["election", "m1 is the leader in term 17", "election 17 2a2420235366859a"],
  ],
  ["the loss of a leader", '{"msg":"raft.node: 8e9e05c52164694d lost leader 8e9e05c52164694d at term 2"}', null],
  [
    "a member that etcd adds",
    '{"level":"info","ts":"2026-11-30T01:31:05.669968Z","caller":"membership/cluster.go:424","msg":"added member","cluster-id":"cdf818194e3a8c32","local-member-id":"8e9e05c52164694d","added-peer-id":"8e9e05c52164694d","added-peer-peer-urls":["http://localhost:2380"],"added-peer-is-learner":false}',
    ["membership", "m2 was added as a voter", "added 8e9e05c52164694d"],
  ],
  [
    "a learner of no known name",
    '{"msg":"added member","added-peer-id":"aa","added-peer-peer-urls":[],"added-peer-is-learner":true}',
    ["membership", "aa was added as a learner", "added aa"],
  ],
  [
    "a promotion",
    '{"msg":"promote member","promoted-member-id":"2a2420235366859a"}',
    ["membership", "m1 became a voter", "promoted 2a2420235366859a"],
  ],
  ["a promotion of an etcd that does not say of whom", '{"msg":"promote member"}', null],
  [
    "a removal",
    '{"msg":"removed member","removed-remote-peer-id":"2a2420235366859a"}',
    ["membership", "m1 was removed", "removed 2a2420235366859a"],
  ],
  ["a start", '{"level":"info","msg":"ready to serve client requests"}', ["member", "m3 serves clients", null]],
  ["a stop of the agent", '{"level":"info","msg":"stopping"}', ["member", "m3 stops", null]],
  ["a stop of etcd", '{"msg":"closing etcd server","name":"default"}', ["member", "m3 stops", null]],
  ["another line", '{"level":"warn","msg":"Cannot connect to member aa"}', null],
  ["a line of systemd", "Started haplan-demo-m1-agent.service - haplan agent.", null],
  ["a torn line", '{"level":"info","msg":"stop', null],
  ["a line without a message", "[1,2]", null],
];

describe("an event in a member's log", () => {
  it.each(lines)("is read: %s", (_, line, expected) => {
    expect(textOf(line)).toEqual(expected);
  });
});

describe("a line in a member's log", () => {
  it.each([
    ["its own election", '{"leader":"2a","term":2,"role":"leader","msg":"leader elected"}', "2a"],
    ["the election of another one", '{"leader":"2a","term":2,"role":"follower","msg":"leader elected"}', null],
    ["an election of etcd", '{"msg":"raft.node: 8e changed leader from 8e to 2a at term 17"}', "8e"],
    ["its start", '{"local-member-id":"2a","msg":"ready to serve client requests"}', "2a"],
    ["a line of systemd", "Started haplan-demo-m1-agent.service.", null],
  ])("says which member has written it: %s", (_, message, id) => {
    expect(writerOfLog({ machine: "m1", unit: "agent", timeMs: 0, message })).toBe(id);
  });
});

const record = (planId: string, stepId: string, phase: JournalRecord["phase"], second: number): JournalRecord => {
  const at = `2026-11-30T00:00:0${second}.000Z`;
  return { sequence: 1, planId, stepId, phase, at, ...(phase === "failed" ? { error: "no space left" } : {}) };
};
const interrupted = [record("a".repeat(64), "s1", "intent", 1), record("a".repeat(64), "s1", "failed", 2)];
const resumed = [record("b".repeat(64), "s1", "intent", 3), record("b".repeat(64), "s1", "done", 4)];
const acted = (kind: StepAction["kind"], second: number): JournalRecord => {
  return { ...record("c".repeat(64), `s${second}`, "intent", second), action: { kind } as StepAction };
};

describe("applies in a journal", () => {
  it.each([
    ["nothing", [], true, []],
    [
      "one that failed",
      interrupted,
      false,
      ["apply of plan aaaaaaaaaaaa began", "apply of plan aaaaaaaaaaaa: step s1 failed: no space left"],
    ],
    [
      "one that was resumed by another plan, and completed",
      [...interrupted, ...resumed],
      true,
      [
        "apply of plan aaaaaaaaaaaa began",
        "apply of plan aaaaaaaaaaaa: step s1 failed: no space left",
        "apply of plan bbbbbbbbbbbb began",
        "apply of plan bbbbbbbbbbbb is complete (1 step)",
      ],
    ],
    [
      "a recovery",
      [acted("stopAgent", 1), acted("saveSurvivor", 2), acted("restoreMember", 3)],
      true,
      ["recovery of plan cccccccccccc began", "recovery of plan cccccccccccc is complete (3 steps)"],
    ],
    ["a restore", [acted("restoreMember", 1)], false, ["restore of plan cccccccccccc began"]],
    ["one that goes on", resumed, false, ["apply of plan bbbbbbbbbbbb began"]],
  ] as const)("are told: %s", (_, records, complete, texts) => {
    expect(eventsOfJournal(records, complete).map(({ text }) => text)).toEqual(texts);
  });
});
