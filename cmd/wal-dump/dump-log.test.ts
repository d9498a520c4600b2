import { expect, it } from "vitest";
import { createRandom } from "../../src/base/random.ts";
import { MemoryFileSystem } from "../../src/raft-agent/wal/file-system.fake.ts";
import { openWal } from "../../src/raft-agent/wal/open-wal.ts";
import { entry, snapshotAt } from "../../src/raft-agent/wal/wal.fixture.ts";
import { dumpLog } from "./dump-log.ts";

async function logWithTwoBatches(): Promise<MemoryFileSystem> {
  const fileSystem = new MemoryFileSystem();
  const options = {
    fileSystem,
    directory: "wal",
    metadata: Buffer.from("m1"),
    segmentBytes: 4096,
    random: createRandom(5),
  };
  const { wal } = await openWal(options);
  const hardState = { term: 2, votedFor: "00000000000000aa", commitIndex: 1 };
  await wal.append({ hardState, entries: [entry(1, 1, "first"), entry(2, 2, "s".repeat(60))], snapshot: null });
  await wal.append({ hardState: null, entries: [], snapshot: snapshotAt(1, 1) });
  await wal.close();
  return fileSystem;
}

async function dump(
  fileSystem: MemoryFileSystem,
  directory = "wal",
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await dumpLog(
    fileSystem,
    directory,
    (text) => (out += text),
    (text) => (err += text),
  );
  return { code, out, err };
}

it("wal-dump prints every record of a log", async () => {
  expect(await dump(await logWithTwoBatches())).toMatchInlineSnapshot(`
    {
      "code": 0,
      "err": "",
      "out": "000000000001.log: 4096 bytes, log d29ce1a9de247dc7, metadata "m1"
      batch 1 at 512, 145 bytes
        entry 1: term 1, normal, 5 bytes "first"
        entry 2: term 2, normal, 60 bytes "ssssssssssssssssssssssssssssssssssssssssssssssss"...
        hard state: term 2, voted for 00000000000000aa, commit index 1
      batch 2 at 704, 52 bytes
        snapshot at 1: term 1, entries after it are kept, { voters: [ '00000000000000aa', 'fedcba9876543210' ], votersOutgoing: [], learners: [] }
    2 segments, 2 batches since the log was created
    ",
    }
  `);
});

it("wal-dump prints a damaged log up to the damage and says what it is", async () => {
  const fileSystem = await logWithTwoBatches();
  fileSystem.flipBit("wal/000000000001.log", 8 * 750);
  const { code, out, err } = await dump(fileSystem);
  expect({ code, printed: out.includes("batch 1 at 512") }).toEqual({ code: 1, printed: true });
  expect(err).toContain("000000000001.log");
});

it("wal-dump says that a directory holds no log", async () => {
  expect(await dump(new MemoryFileSystem())).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringContaining("no log"),
  });
});
