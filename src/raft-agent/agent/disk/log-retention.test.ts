import { expect, it } from "vitest";
import type { SnapshotMetadata } from "../../raft/configuration.ts";
import { LogRetention } from "./log-retention.ts";

const limits = { snapshotCount: 100, catchupEntries: 50, bytesMax: 1000 };

function createWorld(flushedIndex: number, firstIndex = 1) {
  const calls: string[] = [];
  const store = {
    flushedIndex,
    flush: async () => {
      calls.push("flush");
      store.flushedIndex = Math.max(store.flushedIndex, 140);
    },
  };
  const metadata = (index: number): SnapshotMetadata => ({
    index,
    term: 1,
    configuration: { voters: [], votersOutgoing: [], learners: [] },
  });
  const retention = new LogRetention(
    {
      store,
      wal: {
        append: async ({ snapshot }) => void calls.push(`marker ${snapshot?.index}`),
        truncateBefore: async (index) => void calls.push(`release ${index}`),
      },
      raft: {
        snapshotMetadata: metadata,
        compact: (index) => void calls.push(`compact ${index}`),
        status: () => ({ firstIndex }),
      },
    },
    limits,
    0,
  );
  return { retention, calls };
}

it("LogRetention keeps the log until enough entries are applied", async () => {
  const { retention, calls } = createWorld(1000);
  await retention.applied(149, 10);
  expect(calls).toEqual([]);
});

it("LogRetention marks, compacts and truncates up to what slow followers may still need", async () => {
  const { retention, calls } = createWorld(1000);
  await retention.applied(150, 10);
  expect(calls).toEqual(["marker 100", "compact 100", "release 101"]);
});

it("LogRetention never goes beyond what the store has flushed", async () => {
  const { retention, calls } = createWorld(20);
  await retention.applied(400, 10);
  expect(calls).toEqual(["flush", "marker 140", "compact 140", "release 141"]);
});

it("LogRetention compacts early when the log is large", async () => {
  const { retention, calls } = createWorld(1000);
  await retention.applied(40, 1001);
  expect(calls).toEqual(["marker 30", "compact 30", "release 31"]);
});

it("LogRetention restarts counting after an installed snapshot", async () => {
  const { retention, calls } = createWorld(1000);
  retention.restartedAt(500);
  await retention.applied(600, 10);
  expect(calls).toEqual([]);
});

it("LogRetention keeps a snapshot that replaced the log while the store was flushed", async () => {
  const { retention, calls } = createWorld(20, 900);
  await retention.applied(400, 10);
  expect(calls).toEqual(["flush"]);
});
