import { describe, expect, it } from "vitest";
import { type Entry, EntryKind } from "../raft/entry.ts";
import type { Raft } from "../raft/raft.ts";
import type { Ready } from "../raft/ready.ts";
import { ConsensusDriver, type DriverPorts } from "./consensus-driver.ts";

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

/** `raft` stands for the core; a failure is recorded in `calls`. */
function createDriver(raft: object, calls: string[], ports: Partial<DriverPorts> = {}): ConsensusDriver {
  return new ConsensusDriver(
    {
      raft: raft as Raft,
      wal: { append: () => Promise.resolve(), pendingSinceMs: () => null },
      machine: { apply: () => {}, applyConfiguration: () => {}, appliedIndex: 0 },
      send: () => {},
      sendSnapshot: () => {},
      installSnapshot: () => Promise.resolve(),
      defer: setImmediate,
      beginApplying: () => () => false,
      ...ports,
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
}

it("ConsensusDriver installs a second snapshot only when the first one is installed", async () => {
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
  const driver = createDriver(raft, calls, {
    installSnapshot: (index) => {
      calls.push(`install ${index}`);
      return new Promise((resolve) => ends.push(resolve));
    },
  });
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

it("ConsensusDriver issues requests from the end of a turn together with the turn's other work", async () => {
  const calls: string[] = [];
  const raft = {
    takeReady: () => {
      calls.push("ready");
      return null;
    },
    status: () => ({ commitIndex: 0 }),
    step: (event: { kind: string }) => calls.push(event.kind),
    requestRead: (context: number) => calls.push(`read ${context}`),
  };
  const driver = createDriver(raft, calls);
  driver.onTickEnd(() => driver.requestRead(1));
  driver.step({ kind: "campaign" });
  await turn();
  await turn();
  expect(calls).toEqual(["campaign", "read 1", "ready"]);
});

describe("ConsensusDriver applies long work in slices", () => {
  const entry = (index: number): Entry => ({ index, term: 1, kind: EntryKind.normal, data: new Uint8Array(1) });

  /** Applies `perTurn` entries in a turn. */
  function applying(batches: readonly (readonly number[])[], perTurn: number) {
    const calls: string[] = [];
    const readies = batches.map((indexes) => ({ ...nothing, committed: indexes.map(entry) }));
    const raft = {
      takeReady: () => readies.shift() ?? null,
      status: () => ({ commitIndex: 0 }),
      step: (event: { kind: string; index?: number }) =>
        event.kind === "applied" && calls.push(`applied up to ${event.index}`),
    };
    const driver = createDriver(raft, calls, {
      machine: { apply: (index) => calls.push(String(index)), applyConfiguration: () => {}, appliedIndex: 0 },
      beginApplying: () => {
        let count = 0;
        return () => ++count >= perTurn;
      },
    });
    return { calls, driver };
  }

  it("in order, reporting each slice, with other work in between", async () => {
    const { calls, driver } = applying([[1, 2, 3], [4]], 2);
    driver.tick();
    expect(calls).toEqual(["1", "2", "applied up to 2"]);
    await turn();
    expect(calls.slice(3)).toEqual(["3", "applied up to 3", "4", "applied up to 4"]);
  });

  it("and nothing while the state machine is replaced, until the last suspension ends", async () => {
    const { calls, driver } = applying([[1, 2]], 1);
    driver.tick();
    const [first, second] = [driver.suspendApplying(), driver.suspendApplying()];
    await turn();
    first();
    await turn();
    expect(calls).toEqual(["1", "applied up to 1"]);
    second();
    expect(calls.slice(2)).toEqual(["2", "applied up to 2"]);
  });
});
