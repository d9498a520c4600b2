import { describe, expect, it } from "vitest";
import { MemoryBackend } from "../mvcc/backend/backend.fake.ts";
import { CompletedChanges } from "./completed-changes.ts";

const added = [{ id: "1111111111111111", peerUrls: ["http://127.0.82.1:2380"], learner: true }];

describe("completed changes", () => {
  it("A12: are part of the data, limited to the last 1,024", () => {
    const { metadata } = new MemoryBackend();
    const changes = new CompletedChanges(metadata);
    for (let index = 1; index <= 1_030; index++) changes.add(index, { id: `change ${index}`, added });
    for (const known of [changes, reopened(metadata)]) {
      expect(known.get("change 6")).toBeUndefined();
      expect(known.get("change 7")).toEqual({ id: "change 7", added });
      expect(known.get("change 1030")).toEqual({ id: "change 1030", added });
    }
    const later = reopened(metadata);
    later.add(1_031, { id: "change 1031", added: [] });
    expect([later.get("change 7"), later.get("change 8")?.id]).toEqual([undefined, "change 8"]);
    expect(metadata.entries("changes_completed").length).toBe(1_024);
  });
});

function reopened(metadata: MemoryBackend["metadata"]): CompletedChanges {
  const changes = new CompletedChanges(metadata);
  changes.load();
  return changes;
}
