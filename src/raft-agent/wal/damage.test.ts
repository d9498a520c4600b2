import { describe, expect, it } from "vitest";
import { createRandom } from "../../base/random.ts";
import { MemoryFileSystem } from "./file-system.fake.ts";
import { openWal, type RecoveredWal } from "./open-wal.ts";
import { entry, type LogText, noBatch, snapshotAt, textOf } from "./wal.fixture.ts";
import type { WalBatch } from "./wal.ts";

const directory = "wal";
const segmentBytes = 4096;

/** Every kind of record, batches within one sector and batches across sectors, with the given last one. */
function batchesEndingWith(last: WalBatch): WalBatch[] {
  return [
    { hardState: { term: 1, votedFor: "00000000000000aa", commitIndex: 0 }, entries: [], snapshot: null },
    { hardState: null, entries: [entry(1, 1), entry(2, 1, "b".repeat(600))], snapshot: null },
    {
      hardState: { term: 2, votedFor: null, commitIndex: 1 },
      entries: [entry(2, 2), entry(3, 2)],
      snapshot: snapshotAt(1, 1),
    },
    last,
  ];
}

const lastWithinSector: WalBatch = { ...noBatch, entries: [entry(4, 2, "c")] };
const lastAcrossSectors: WalBatch = {
  hardState: { term: 2, votedFor: null, commitIndex: 4 },
  entries: [entry(4, 2, "d".repeat(1100))],
  snapshot: null,
};

function open(fileSystem: MemoryFileSystem): ReturnType<typeof openWal> {
  return openWal({ fileSystem, directory, metadata: Buffer.from("m"), segmentBytes, random: createRandom(3) });
}

/** A closed log of these batches, and its state after each of them. */
async function makeLog(
  batches: readonly WalBatch[],
): Promise<{ fileSystem: MemoryFileSystem; states: LogText[]; ends: number[] }> {
  const fileSystem = new MemoryFileSystem();
  const states: LogText[] = [];
  const ends = [512];
  for (const batch of [noBatch, ...batches]) {
    const { wal, recovered } = await openWal({
      fileSystem,
      directory,
      metadata: Buffer.from("m"),
      segmentBytes,
      random: createRandom(3),
      observer: { onSync: (_, bytes) => ends.push(ends.at(-1)! + bytes) },
    });
    if (batch !== noBatch) await wal.append(batch);
    await wal.close();
    states.push(textOf(recovered));
  }
  const { wal, recovered } = await open(fileSystem);
  await wal.close();
  return { fileSystem, states: [...states.slice(1), textOf(recovered)], ends };
}

/** The result of recovery: the log's state, or "rejected". Any other error is thrown. */
async function outcome(fileSystem: MemoryFileSystem): Promise<RecoveredWal | "rejected"> {
  try {
    const { wal, recovered } = await open(fileSystem);
    await wal.close();
    return recovered;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    expect({ code, message }).toMatchObject({ code: "wal/damaged", message: expect.stringContaining(".log") });
    return "rejected";
  }
}

describe("a damaged log", () => {
  it.each([
    ["ends within a sector", lastWithinSector, 0],
    ["ends across sectors", lastAcrossSectors, 512],
  ])("a log that %s never loses an acknowledged batch to one flipped bit", async (_, last, fromByte) => {
    const { fileSystem, states, ends } = await makeLog(batchesEndingWith(last));
    const name = `${directory}/000000000001.log`;
    const intact = fileSystem.contentOf(name);
    const expected = JSON.stringify(states.at(-1));
    let rejected = 0;
    const end = ends.at(-1)!;
    // Every bit with a meaning, and some of the empty rest.
    for (let bit = fromByte * 8; bit < intact.length * 8; bit += bit < (end + 48) * 8 ? 1 : 97) {
      const damaged = fileSystem.clone();
      damaged.flipBit(name, bit);
      const result = await outcome(damaged);
      if (result === "rejected") rejected++;
      else if (JSON.stringify(textOf(result)) !== expected)
        throw new Error(`bit ${bit}: ${JSON.stringify(textOf(result))}`);
    }
    // Every bit of the header and of the batches is checked; only flips in the empty rest can be repaired.
    expect(rejected).toBe((end - fromByte) * 8);
  });

  it("a log whose last segment was truncated is rejected at every length", async () => {
    const { fileSystem } = await makeLog(batchesEndingWith(lastAcrossSectors));
    const name = `${directory}/000000000001.log`;
    const intact = fileSystem.contentOf(name);
    for (let length = 0; length < intact.length; length++) {
      const damaged = fileSystem.clone();
      damaged.put(name, intact.slice(0, length));
      expect(await outcome(damaged), `cut at ${length}`).toBe("rejected");
    }
  });

  it("a log whose last write stopped at any byte recovers the batches before it, or all, or is rejected", async () => {
    const { fileSystem, states, ends } = await makeLog(batchesEndingWith(lastAcrossSectors));
    const name = `${directory}/000000000001.log`;
    const intact = fileSystem.contentOf(name);
    const outcomes = new Map<string, number>();
    for (let from = ends.at(-2)!; from <= ends.at(-1)!; from++) {
      const damaged = fileSystem.clone();
      damaged.put(name, intact.slice().fill(0, from));
      const result = await outcome(damaged);
      const kind =
        result === "rejected"
          ? result
          : String(states.findIndex((state) => JSON.stringify(state) === JSON.stringify(textOf(result))));
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      // A repaired log can be opened again and needs no further repair.
      if (result !== "rejected") expect(await outcome(damaged)).toMatchObject({ repaired: [] });
    }
    const before = String(states.length - 2);
    const all = String(states.length - 1);
    expect([...outcomes.keys()].sort()).toEqual([before, all, "rejected"].sort());
    // Rejected: the last write stopped inside the four bytes of its end mark, or inside the last header word.
    expect(outcomes.get("rejected")).toBeLessThan(8);
    expect(outcomes.get(all)).toBe(1);
  });

  it("a log zeroed from any byte on, though later batches were acknowledged, ends at a batch or is rejected", async () => {
    const { fileSystem, states, ends } = await makeLog(batchesEndingWith(lastWithinSector));
    const name = `${directory}/000000000001.log`;
    const intact = fileSystem.contentOf(name);
    const legal = new Set(states.map((state) => JSON.stringify(state)));
    for (let from = 512; from < ends.at(-1)!; from++) {
      const damaged = fileSystem.clone();
      damaged.put(name, intact.slice().fill(0, from));
      const result = await outcome(damaged);
      if (result !== "rejected") expect(legal.has(JSON.stringify(textOf(result))), `zero from ${from}`).toBe(true);
    }
  });

  it("a log with a damaged, missing, foreign or renamed segment is rejected", async () => {
    const { fileSystem } = await makeLog(
      Array.from({ length: 12 }, (_, at) => ({ ...noBatch, entries: [entry(at + 1, 1, "e".repeat(700))] })),
    );
    const segment = (number: number): string => `${directory}/${String(number).padStart(12, "0")}.log`;
    const names = (await fileSystem.list(directory)).filter((name) => name.endsWith(".log"));
    expect(names.length).toBeGreaterThan(3);
    const cases: Record<string, (damaged: MemoryFileSystem) => void> = {
      "zeroed first batch of an older segment": (damaged) =>
        damaged.put(segment(2), damaged.contentOf(segment(2)).fill(0, 512)),
      "older segment cut to its header": (damaged) =>
        damaged.put(segment(2), damaged.contentOf(segment(2)).slice(0, 512)),
      "segment under another's name": (damaged) => damaged.put(segment(2), damaged.contentOf(segment(3))),
      "segment of another log": (damaged) => {
        const bytes = damaged.contentOf(segment(2));
        bytes[24]! ^= 1;
        damaged.put(segment(2), bytes);
      },
    };
    for (const [name, damage] of Object.entries(cases)) {
      const damaged = fileSystem.clone();
      damage(damaged);
      expect(await outcome(damaged), name).toBe("rejected");
    }
    const missing = fileSystem.clone();
    await missing.remove(segment(2));
    expect(await outcome(missing)).toBe("rejected");
  });

  it("a zeroed segment header is rejected even when the segment is empty", async () => {
    const { fileSystem } = await makeLog(batchesEndingWith(lastWithinSector));
    const newest = (await fileSystem.list(directory)).filter((name) => name.endsWith(".log")).at(-1)!;
    fileSystem.put(`${directory}/${newest}`, new Uint8Array(segmentBytes));
    expect(await outcome(fileSystem)).toBe("rejected");
  });
});
