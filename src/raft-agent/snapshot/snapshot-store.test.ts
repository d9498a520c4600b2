import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../../base/random.ts";
import type { SnapshotMetadata } from "../raft/configuration.ts";
import { MemoryFileSystem } from "../wal/file-system.fake.ts";
import { openSnapshotStore, type SnapshotStore } from "./snapshot-store.ts";

const directory = "snapshots";
const clock = { now: () => 1_700_000_000_000, monotonicMs: () => 0, sleep: async () => {} };

function openStore(fileSystem: MemoryFileSystem): Promise<SnapshotStore> {
  return openSnapshotStore({ fileSystem: fileSystem.mount(), directory, clock });
}

function at(index: number, term = 1): SnapshotMetadata {
  return {
    index,
    term,
    configuration: { voters: ["00000000000000aa"], votersOutgoing: [], learners: ["fedcba9876543210"] },
  };
}

async function* chunks(...contents: (Uint8Array | string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const content of contents) {
    if (content instanceof Error) throw content;
    yield typeof content === "string" ? Buffer.from(content) : content;
  }
}

async function contentOf(parts: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

describe("the snapshot store", () => {
  it("a snapshot is read as it was written, whatever its chunks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }),
        fc.nat(600_000),
        async (parts, large) => {
          const store = await openStore(new MemoryFileSystem());
          const sent = [...parts, Buffer.alloc(large, 7)];
          await store.write(at(5, 2), chunks(...sent));
          const { snapshot, damaged } = await store.openNewest();
          expect(damaged).toEqual([]);
          expect(snapshot).toMatchObject({ metadata: at(5, 2), createdMs: 1_700_000_000_000 });
          expect((await contentOf(snapshot!.chunks())).equals(Buffer.concat(sent))).toBe(true);
          expect(snapshot!.contentBytes).toBe(Buffer.concat(sent).length);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("the newest snapshot is opened, and pruning keeps the newest", async () => {
    const store = await openStore(new MemoryFileSystem());
    expect(await store.openNewest()).toEqual({ snapshot: null, damaged: [] });
    for (const index of [5, 100, 20]) await store.write(at(index), chunks(`at ${index}`));
    expect((await store.list()).map(({ index }) => index)).toEqual([100, 20, 5]);
    const oldest = await store.open((await store.list())[2]!.name);
    expect(await store.prune(0)).toHaveLength(2);
    expect((await store.list()).map(({ index }) => index)).toEqual([100]);
    // An open snapshot stays readable.
    expect((await contentOf(oldest.chunks())).toString()).toBe("at 5");
    await oldest.close();
  });

  it("a snapshot with any bit flipped, or truncated anywhere, or with trailing bytes, is skipped for the previous one", async () => {
    const fileSystem = new MemoryFileSystem();
    const store = await openStore(fileSystem);
    await store.write(at(5), chunks("before"));
    const { name } = await store.write(at(9), chunks("some", "content"));
    const intact = fileSystem.contentOf(`${directory}/${name}`);
    const check = async (bytes: Uint8Array, what: string): Promise<void> => {
      fileSystem.put(`${directory}/${name}`, bytes);
      const { snapshot, damaged } = await store.openNewest();
      expect(snapshot?.metadata.index, what).toBe(5);
      expect(damaged[0]?.reason, what).toContain(name);
      await expect(store.open(name)).rejects.toMatchObject({ code: "snapshot/damaged" });
    };
    for (let bit = 0; bit < intact.length * 8; bit++) {
      const flipped = Uint8Array.from(intact);
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      await check(flipped, `bit ${bit}`);
    }
    for (let length = 0; length < intact.length; length++) await check(intact.slice(0, length), `length ${length}`);
    await check(Buffer.concat([intact, Buffer.alloc(1)]), "one byte more");
  });

  it("a snapshot that is damaged after it was opened fails while it is read", async () => {
    const fileSystem = new MemoryFileSystem();
    const store = await openStore(fileSystem);
    const { name } = await store.write(at(5), chunks(Buffer.alloc(600_000, 1)));
    const file = await fileSystem.open(`${directory}/${name}`, { create: false });
    const { snapshot } = await store.openNewest();
    await file.write(500_000, Buffer.from([2]));
    await expect(contentOf(snapshot!.chunks())).rejects.toMatchObject({ code: "snapshot/damaged" });
  });

  it.each([
    ["its source fails", () => {}, new Error("the stream broke"), "the stream broke"],
    [
      "the disk is full",
      (disk: MemoryFileSystem) => void (disk.faults.capacityBytes = 1000),
      "x".repeat(5000),
      "ENOSPC",
    ],
  ])("a snapshot leaves nothing behind when %s", async (_, prepare, content, message) => {
    const fileSystem = new MemoryFileSystem();
    const store = await openStore(fileSystem);
    prepare(fileSystem);
    await expect(store.write(at(5), chunks("begin", content))).rejects.toThrow(message);
    expect(await fileSystem.list(directory)).toEqual([]);
  });

  it.each(Array.from({ length: 40 }, (_, seed) => seed))(
    "a crash leaves the old snapshot or the complete new one (seed %i)",
    async (seed) => {
      const random = createRandom(seed);
      const fileSystem = new MemoryFileSystem();
      const store = await openStore(fileSystem);
      await store.write(at(5), chunks("old"));
      let operationsLeft = random.below(8);
      fileSystem.faults.before = () => {
        if (operationsLeft-- <= 0) throw new Error("no power");
      };
      const content = Buffer.alloc(2000, 3);
      const durable = await store.write(at(9), chunks(content)).then(
        () =>
          store.prune(1).then(
            () => true,
            () => true,
          ),
        () => false,
      );
      fileSystem.crash(random);
      delete fileSystem.faults.before;
      const { snapshot, damaged } = await (await openStore(fileSystem)).openNewest();
      expect(damaged).toEqual([]);
      const found = (await contentOf(snapshot!.chunks())).toString();
      expect(found).toBe(snapshot!.metadata.index === 9 ? content.toString() : "old");
      if (durable) expect(snapshot!.metadata.index).toBe(9);
      expect((await fileSystem.list(directory)).filter((name) => name.endsWith(".making"))).toEqual([]);
    },
  );
});
