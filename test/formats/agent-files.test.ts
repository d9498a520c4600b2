/** The files of a member in a format that only a later haplan-agent reads: refused, named and left as they are. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open as openDatabase } from "lmdb";
import { afterAll, describe, expect, it } from "vitest";
import { crc32c } from "../../src/base/crc32c.ts";
import { openLmdbBackend } from "../../src/raft-agent/mvcc/backend/lmdb-backend.ts";
import { layoutKey } from "../../src/raft-agent/mvcc/backend/lmdb-tree.ts";
import { openSnapshotStore } from "../../src/raft-agent/snapshot/snapshot-store.ts";
import { createNodeFileSystem } from "../../src/raft-agent/wal/node-file-system.ts";
import { openWal } from "../../src/raft-agent/wal/open-wal.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-agent-formats-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Counts the version in a header up, and its checksum with it: both formats have them at the same place. */
function raiseVersion(path: string, headerBytes: number): Buffer {
  const bytes = readFileSync(path);
  bytes.writeUInt32LE(bytes.readUInt32LE(12) + 1, 12);
  bytes.writeUInt32LE(crc32c(bytes, 12, headerBytes), 8);
  writeFileSync(path, bytes);
  return bytes;
}

describe("a newer format of a member's files is refused:", () => {
  it("the log", async () => {
    const place = join(directory, "wal");
    mkdirSync(place);
    const options = { fileSystem: createNodeFileSystem(place), directory: ".", metadata: Buffer.from("m") };
    await (await openWal(options)).wal.close();
    const segment = join(place, readdirSync(place).find((name) => name.endsWith(".wal") || /^\d/.test(name))!);
    const bytes = raiseVersion(segment, 512);
    await expect(openWal(options)).rejects.toMatchObject({
      code: "wal/newer-version",
      message: expect.stringMatching(
        /format version 2, but this haplan-agent supports versions up to 1\. It was not changed/,
      ),
    });
    expect(readFileSync(segment).equals(bytes)).toBe(true);
  });

  it("a snapshot, which is not taken for a damaged one", async () => {
    const place = join(directory, "snapshots");
    mkdirSync(place);
    const store = await openSnapshotStore({ fileSystem: createNodeFileSystem(place), directory: "." });
    const configuration = { voters: ["00000000000000aa"], votersOutgoing: [], learners: [] };
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("content");
    }
    for (const index of [3, 7]) await store.write({ index, term: 1, configuration }, chunks());
    const [newest] = await store.list();
    const path = join(place, newest!.name);
    const headerBytes = 20 + readFileSync(path).readUInt32LE(16);
    const bytes = raiseVersion(path, headerBytes);
    await expect(store.openNewest()).rejects.toMatchObject({
      code: "snapshot/newer-version",
      message: expect.stringMatching(
        /it has format version 2, but this haplan-agent supports versions up to 1\. It was not changed/,
      ),
    });
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it("the store", async () => {
    await openLmdbBackend({ directory }).close();
    const path = join(directory, "store.mdb");
    const settings = { path, noSubdir: true, keyEncoding: "binary", encoding: "binary", maxDbs: 1 } as const;
    const database = openDatabase<Buffer, Uint8Array>(settings);
    await database.put(layoutKey, Buffer.from("2"));
    await database.close();
    expect(() => openLmdbBackend({ directory })).toThrow(
      /its layout has version 2, but this haplan-agent supports versions up to 1\. It was not changed/,
    );
    const again = openDatabase<Buffer, Uint8Array>(settings);
    expect(again.get(layoutKey)?.toString()).toBe("2");
    await again.close();
  });
});
