import { expect, test } from "vitest";
import type { Raft } from "../raft/raft.ts";
import type { Ready } from "../raft/ready.ts";
import { ConsensusDriver } from "./consensus-driver.ts";

const nothing: Ready = {
  persistTicket: null,
  hardState: null,
  entries: [],
  installSnapshot: null,
  messages: [],
  messagesAfterPersist: [],
  committed: [],
  reads: [],
  failedReads: [],
  softState: null,
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("ConsensusDriver installs a second snapshot only when the first one is in its place", async () => {
  const configuration = { voters: [], votersOutgoing: [], learners: [] };
  const readies = [5, 9].map((index, at) => ({
    ...nothing,
    persistTicket: at + 1,
    installSnapshot: { index, term: 1, configuration },
  }));
  const calls: string[] = [];
  const raft = {
    takeReady: () => readies.shift() ?? null,
    status: () => ({ commitIndex: 0 }),
    step: (event: { kind: string; ticket?: number }) =>
      event.kind === "persisted" && calls.push(`persisted ${event.ticket}`),
  };
  const ends: (() => void)[] = [];
  const driver = new ConsensusDriver(
    {
      raft: raft as unknown as Raft,
      wal: { append: () => Promise.resolve(), pendingSinceMs: () => null },
      machine: { apply: () => {}, applyConfiguration: () => {}, appliedIndex: 0 },
      send: () => {},
      sendSnapshot: () => {},
      installSnapshot: (index) =>
        new Promise((resolve) => {
          calls.push(`install ${index}`);
          ends.push(resolve);
        }),
      defer: setImmediate,
    },
    {
      softState: () => {},
      applied: () => {},
      readConfirmed: () => {},
      readFailed: () => {},
      failed: (error) => void calls.push(String(error)),
    },
    { diskStallMs: 1_000 },
  );
  driver.tick();
  await turn();
  await turn();
  expect(calls).toEqual(["install 5"]);
  ends[0]!();
  await turn();
  expect(calls).toEqual(["install 5", "persisted 1", "install 9"]);
  ends[1]!();
  await turn();
  expect(calls.at(-1)).toBe("persisted 2");
});
