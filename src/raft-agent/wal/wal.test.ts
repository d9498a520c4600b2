import { describe, expect, it } from "vitest";
import { AssertionError } from "../../base/assert.ts";
import { createRandom } from "../../base/random.ts";
import { MemoryFileSystem } from "./file-system.fake.ts";
import { type OpenWalOptions, openWal } from "./open-wal.ts";
import { entry, ModelLog, noBatch, snapshotAt, textOf } from "./wal.fixture.ts";
import type { Wal } from "./wal.ts";

const directory = "wal";

function open(fileSystem: MemoryFileSystem, options: Partial<OpenWalOptions> = {}): ReturnType<typeof openWal> {
  return openWal({
    fileSystem: fileSystem.mount(),
    directory,
    metadata: Buffer.from("cluster 1, member 1"),
    segmentBytes: 8192,
    random: createRandom(7),
    clock: { now: () => 0, monotonicMs: () => 0, sleep: async () => {} },
    ...options,
  });
}

async function recover(fileSystem: MemoryFileSystem): Promise<Awaited<ReturnType<typeof openWal>>["recovered"]> {
  const { wal, recovered } = await open(fileSystem);
  await wal.close();
  return recovered;
}

async function appendMany(wal: Wal, from: number, to: number, data = "x".repeat(500)): Promise<void> {
  for (let index = from; index <= to; index++) await wal.append({ ...noBatch, entries: [entry(index, 1, data)] });
}

describe("a log", () => {
  it("a closed log recovers what was appended", async () => {
    const fileSystem = new MemoryFileSystem();
    const { wal, recovered } = await open(fileSystem);
    expect(recovered).toMatchObject({ isNew: true, hardState: null, snapshot: null, entries: [] });
    const hardState = { term: 2, votedFor: "fedcba9876543210", commitIndex: 2 };
    await wal.append({ hardState, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], snapshot: null });
    await wal.append({ ...noBatch, entries: [entry(3, 2, "again")] });
    await wal.close();
    const again = await recover(fileSystem);
    expect(again.isNew).toBe(false);
    expect(Buffer.from(again.metadata).toString()).toBe("cluster 1, member 1");
    expect(textOf(again)).toEqual({
      hardState: "2 fedcba9876543210 2",
      snapshotIndex: 0,
      entries: ["1/1/0/1:1", "2/1/0/1:2", "3/2/0/again"],
    });
  });

  it("a log merges waiting batches into one disk write", async () => {
    const fileSystem = new MemoryFileSystem();
    let syncs = 0;
    const { wal } = await open(fileSystem, { observer: { onSync: () => syncs++ } });
    const waiting = [1, 2, 3, 4].map((index) => wal.append({ ...noBatch, entries: [entry(index, 1)] }));
    await Promise.all(waiting);
    expect(syncs).toBe(1);
    await wal.close();
    expect((await recover(fileSystem)).entries).toHaveLength(4);
  });

  it("a log continues in further segments and releases those that a snapshot covers", async () => {
    const fileSystem = new MemoryFileSystem();
    const { wal } = await open(fileSystem);
    await wal.append({ ...noBatch, hardState: { term: 1, votedFor: null, commitIndex: 0 } });
    await appendMany(wal, 1, 60);
    const before = (await fileSystem.list(directory)).filter((name) => name.endsWith(".log"));
    await wal.truncateBefore(50);
    expect(await fileSystem.list(directory)).toContain(before[0]);
    await wal.append({ ...noBatch, snapshot: snapshotAt(45, 1) });
    await wal.truncateBefore(1000);
    const after = await fileSystem.list(directory);
    expect(after.filter((name) => name.endsWith(".log")).length).toBeLessThan(before.length - 1);
    expect(after.filter((name) => name.endsWith(".spare"))).toHaveLength(2);
    await appendMany(wal, 61, 120);
    await wal.close();
    const recovered = await recover(fileSystem);
    expect(recovered.hardState).toEqual({ term: 1, votedFor: null, commitIndex: 0 });
    expect(recovered.snapshot).toEqual(snapshotAt(45, 1));
    expect(recovered.entries.map(({ index }) => index)).toEqual(Array.from({ length: 75 }, (_, at) => 46 + at));
  });

  it("a log writes a batch larger than a segment atomically", async () => {
    const fileSystem = new MemoryFileSystem();
    const { wal } = await open(fileSystem);
    const entries = Array.from({ length: 40 }, (_, at) => entry(at + 1, 1, "y".repeat(900)));
    const hardState = { term: 1, votedFor: null, commitIndex: 40 };
    await wal.append({ hardState, entries, snapshot: null });
    await wal.close();
    expect(textOf(await recover(fileSystem))).toEqual(textOf({ hardState, snapshot: null, entries }));
  });

  it("a log rejects an entry larger than a segment, and accepts the next one", async () => {
    const { wal } = await open(new MemoryFileSystem());
    const tooLarge = wal.append({ ...noBatch, entries: [entry(1, 1, "z".repeat(8000))] });
    await expect(tooLarge).rejects.toMatchObject({ code: "wal/entry-too-large" });
    await wal.append({ ...noBatch, entries: [entry(1, 1)] });
  });

  it.each([
    ["leaves a gap", [entry(5, 1)]],
    ["jumps", [entry(2, 1), entry(4, 1)]],
    ["reaches into the snapshot", [entry(1, 1)]],
  ])("a log treats an entry that %s as a bug", async (_, entries) => {
    const { wal } = await open(new MemoryFileSystem());
    await wal.append({ ...noBatch, snapshot: snapshotAt(1, 1) });
    expect(() => wal.append({ ...noBatch, entries })).toThrow(AssertionError);
  });

  it.each(["sync", "write"] as const)(
    "a log whose %s failed rejects every later append with the same error",
    async (operation) => {
      const fileSystem = new MemoryFileSystem();
      const { wal } = await open(fileSystem);
      await wal.append({ ...noBatch, entries: [entry(1, 1)] });
      fileSystem.faults.before = (each) => {
        if (each === operation) throw new Error("the disk is on fire");
      };
      const first = wal.append({ ...noBatch, entries: [entry(2, 1)] });
      await Promise.resolve();
      const second = wal.append({ ...noBatch, entries: [entry(3, 1)] });
      const error = await first.catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "wal/write-failed" });
      await expect(second).rejects.toBe(error);
      delete fileSystem.faults.before;
      await expect(wal.append({ ...noBatch, entries: [entry(4, 1)] })).rejects.toBe(error);
      await wal.close();
    },
  );

  it("a log on a full disk fails when it needs a segment that cannot be created, and keeps what it acknowledged", async () => {
    const fileSystem = new MemoryFileSystem();
    fileSystem.faults.capacityBytes = 3 * 8192;
    const { wal } = await open(fileSystem);
    const failure = await appendMany(wal, 1, 100).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ code: "wal/write-failed", message: expect.stringContaining("ENOSPC") });
    await wal.close();
    fileSystem.crash(createRandom(1));
    expect((await recover(fileSystem)).entries.length).toBeGreaterThan(30);
  });

  it("a log reports how long a write has been stalled", async () => {
    const fileSystem = new MemoryFileSystem();
    let now = 1000;
    const clock = { now: () => now, monotonicMs: () => now, sleep: async () => {} };
    const { wal } = await open(fileSystem, { clock });
    let goOn = (): void => {};
    const stall = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    fileSystem.faults.before = (operation) => (operation === "write" ? stall : undefined);
    expect(wal.pendingSinceMs()).toBeNull();
    const appended = wal.append({ ...noBatch, entries: [entry(1, 1)] });
    await Promise.resolve();
    await Promise.resolve();
    now += 250;
    expect(wal.pendingSinceMs()).toBe(250);
    goOn();
    await appended;
    expect(wal.pendingSinceMs()).toBeNull();
  });

  it("a log's directory has one owner at a time", async () => {
    const fileSystem = new MemoryFileSystem();
    const { wal } = await open(fileSystem);
    await expect(open(fileSystem)).rejects.toMatchObject({ code: "file-system/locked" });
    await wal.close();
    await (await open(fileSystem)).wal.close();
  });
});

/** A random source with which a crash keeps nothing that was not synced. */
const keepNothing = { next: () => 0.99, below: (bound: number) => (bound === 2 ? 1 : 0) };

describe("a log in a narrow crash window", () => {
  it("what a killed process wrote but did not sync is durable once it is recovered", async () => {
    const fileSystem = new MemoryFileSystem();
    const { wal } = await open(fileSystem);
    await wal.append({ ...noBatch, entries: [entry(1, 1)] });
    fileSystem.faults.before = (operation) => {
      if (operation === "sync") throw new Error("killed");
    };
    await expect(wal.append({ ...noBatch, entries: [entry(2, 1)] })).rejects.toMatchObject({
      code: "wal/write-failed",
    });
    fileSystem.kill();
    delete fileSystem.faults.before;
    expect((await recover(fileSystem)).entries).toHaveLength(2);
    fileSystem.crash(keepNothing);
    expect((await recover(fileSystem)).entries).toHaveLength(2);
  });

  it("a segment whose name was not durable when the process was killed is kept with its content", async () => {
    const fileSystem = new MemoryFileSystem();
    let dirSyncs = 0;
    fileSystem.faults.before = (operation) => {
      // The first sync is for the first segment, the second for the prepared one after it.
      if (operation === "syncDir" && ++dirSyncs >= 2) throw new Error("killed");
    };
    const { wal } = await open(fileSystem);
    await wal.append({ ...noBatch, entries: [entry(1, 1)] });
    while (dirSyncs < 2) await Promise.resolve();
    fileSystem.kill();
    delete fileSystem.faults.before;
    const { wal: again } = await open(fileSystem);
    // Nothing else makes the name durable before the log switches to that segment.
    fileSystem.faults.before = (operation) => {
      if (operation === "syncDir") throw new Error("no more");
    };
    await appendMany(again, 2, 20);
    fileSystem.crash(keepNothing);
    delete fileSystem.faults.before;
    expect((await recover(fileSystem)).entries).toHaveLength(20);
  });

  it("an interrupted group of batches can be repaired, however often the repair is interrupted", async () => {
    const entries = Array.from({ length: 60 }, (_, at) => entry(at + 2, 1, "g".repeat(900)));
    for (let written = 1; written < 8; written++) {
      for (let operations = 0; operations < 24; operations++) {
        const fileSystem = new MemoryFileSystem();
        const { wal } = await open(fileSystem);
        await wal.append({ ...noBatch, entries: [entry(1, 1)] });
        await failAfter(fileSystem, "sync", written * 2, () => wal.append({ ...noBatch, entries }));
        fileSystem.crash(keepNothing);
        await failAfter(fileSystem, null, operations, () => open(fileSystem));
        fileSystem.crash(keepNothing);
        const { entries: found } = await recover(fileSystem);
        expect([1, 61]).toContain(found.length);
      }
    }
  });
});

/** Lets `work` run until the disk has done `count` operations of a kind, or of any kind, and fails from then on. */
async function failAfter(
  fileSystem: MemoryFileSystem,
  kind: "sync" | null,
  count: number,
  work: () => Promise<unknown>,
): Promise<void> {
  let left = count;
  fileSystem.faults.before = (operation) => {
    if ((kind === null || operation === kind) && left-- <= 0) throw new Error("no power");
  };
  await work().catch((error: unknown) => {
    if (!String(error).includes("no power")) throw error;
  });
  delete fileSystem.faults.before;
}

describe("a log and random batches", () => {
  // Seed 713 releases segments while the next one has not been started.
  it.each([713, ...Array.from({ length: 60 }, (_, seed) => seed)])(
    "a log that crashes recovers everything acknowledged and nothing that was not appended (seed %i)",
    async (seed) => {
      const random = createRandom(seed);
      const fileSystem = new MemoryFileSystem();
      const model = new ModelLog();
      for (let life = 0; life < 4; life++) {
        const { wal, recovered } = await open(fileSystem, { spareSegmentsMax: random.below(3) });
        expect(textOf(recovered)).toEqual(textOf(model));
        await runUntilCrash(wal, fileSystem, model, random);
      }
    },
  );
});

/**
 * Appends until the machine loses power at a random operation, then sets `model` to the recovered state, having
 * checked that it is one of the states after an append, and not older than the last acknowledged one.
 */
async function runUntilCrash(
  wal: Wal,
  fileSystem: MemoryFileSystem,
  model: ModelLog,
  random: ReturnType<typeof createRandom>,
): Promise<void> {
  const legal = [structuredClone(textOf(model))];
  const models = [copyOf(model)];
  let acknowledged = 0;
  let operationsLeft = 5 + random.below(120);
  fileSystem.faults.before = () => {
    if (operationsLeft-- <= 0) throw new Error("no power");
  };
  for (let count = 0; count < 60 && operationsLeft > 0; count++) {
    const batch = model.draw(random, 700);
    model.apply(batch);
    legal.push(structuredClone(textOf(model)));
    models.push(copyOf(model));
    const state = legal.length - 1;
    const done = wal.append(batch).then(
      () => {
        acknowledged = Math.max(acknowledged, state);
      },
      () => {},
    );
    if (random.below(3) > 0) await done;
    if (random.below(10) === 0) await wal.truncateBefore(model.lastIndex).catch(() => {});
  }
  const acknowledgedAtCrash = acknowledged;
  if (random.below(4) === 0) fileSystem.kill();
  else fileSystem.crash(random);
  if (random.below(2) === 0) await crashWhileOpening(fileSystem, random);
  delete fileSystem.faults.before;
  const { wal: again, recovered } = await open(fileSystem);
  const found = textOf(recovered);
  const at = legal.findLastIndex((each) => JSON.stringify(each) === JSON.stringify(found));
  expect(at, `recovered ${JSON.stringify(found).slice(0, 300)}`).toBeGreaterThanOrEqual(acknowledgedAtCrash);
  Object.assign(model, copyOf(models[at]!));
  await again.close();
}

async function crashWhileOpening(fileSystem: MemoryFileSystem, random: ReturnType<typeof createRandom>): Promise<void> {
  let operationsLeft = random.below(25);
  fileSystem.faults.before = () => {
    if (operationsLeft-- <= 0) throw new Error("no power");
  };
  await open(fileSystem).catch((error: unknown) => {
    if (!String(error).includes("no power")) throw error;
  });
  fileSystem.crash(random);
}

function copyOf(model: ModelLog): ModelLog {
  return Object.assign(new ModelLog(), {
    hardState: model.hardState,
    snapshot: model.snapshot,
    entries: [...model.entries],
  });
}
