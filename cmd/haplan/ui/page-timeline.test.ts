import { describe, expect, it } from "vitest";
import { itemsOfChanges, PageTimeline, type TimelineItem } from "./page-timeline.ts";

function item(timeMs: number, kind: string, text: string): TimelineItem {
  return { timeMs, kind, subject: null, text };
}

describe("the timeline of the page", () => {
  it("is in the order of time, whatever comes first", () => {
    const timeline = new PageTimeline();
    timeline.add([item(3_000, "member", "m1 stops")]);
    timeline.add([item(1_000, "apply", "began"), item(2_000, "member", "m1 serves clients")]);
    expect(timeline.items.map(({ timeMs }) => timeMs)).toEqual([1_000, 2_000, 3_000]);
  });

  it("has an election once that every member logs, also when the logs are read again", () => {
    const timeline = new PageTimeline();
    const elections = [1_000, 1_004].map((timeMs) => item(timeMs, "election", "m1 is the leader in term 2"));
    expect(timeline.add(elections)).toHaveLength(1);
    expect(timeline.add(elections)).toHaveLength(0);
  });

  it("has each stop of a member, and each loss of the quorum", () => {
    const timeline = new PageTimeline();
    timeline.add([1_000, 2_000].map((timeMs) => item(timeMs, "member", "m1 stops")));
    timeline.add([1_000, 9_000].map((timeMs) => item(timeMs, "quorum", "quorum lost")));
    expect(timeline.items).toHaveLength(4);
  });

  it("leaves elections and membership changes of the status to the logs, and keeps a lost leader", () => {
    const kinds = itemsOfChanges(1, [
      { kind: "leader", subject: "m1", text: "m1 is the leader in term 3" },
      { kind: "leader", subject: null, text: "no leader (was m1)" },
      { kind: "membership", subject: "m4", text: "m4 joined as a learner" },
      { kind: "quorum", subject: null, text: "quorum lost" },
    ]);
    expect(kinds.map(({ text }) => text)).toEqual(["no leader (was m1)", "quorum lost"]);
  });

  it("keeps the last 500", () => {
    const timeline = new PageTimeline();
    timeline.add(Array.from({ length: 600 }, (_, at) => item(at, "member", "m1 stops")));
    expect([timeline.items.length, timeline.items[0]!.timeMs]).toEqual([500, 100]);
  });
});
