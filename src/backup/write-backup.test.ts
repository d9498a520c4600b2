import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { BackupSecret } from "./backup-cipher.ts";
import { readManifest } from "./backup-manifest.ts";
import { extractSnapshot, verifyBackup } from "./open-backup.ts";
import { bumpSnapshotFile } from "./rewrite-snapshot-file.ts";
import { inPieces, snapshotBytes, snapshotOfKeys } from "./snapshot.fixture.ts";
import { writeBackup } from "./write-backup.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-backup-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const key: BackupSecret = { kind: "key", key: Buffer.alloc(32, 1) };
const origin = { cluster: "demo", engine: "agent" } as const;
const whole = snapshotOfKeys(500);

const write = (bytes: Uint8Array, size = 4096, secret: BackupSecret | null = null): ReturnType<typeof writeBackup> => {
  const path = join(directory, "now.db");
  return writeBackup(inPieces(bytes, size), { path, secret, createdAtMs: 0, origin: () => origin });
};

const noSecret = async (): Promise<null> => null;

describe("a backup that is written", () => {
  it.each([7, 32, 33, 4096])("is whole and private when it comes in pieces of %d bytes", async (size) => {
    const manifest = await write(whole, size);
    const path = join(directory, "now.db");
    expect(readFileSync(path).equals(whole)).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const sha256 = createHash("sha256").update(whole).digest("hex");
    expect(manifest).toMatchObject({ revision: 501, keys: 500, encrypted: false, fileSha256: sha256 });
    expect(readManifest(path)).toEqual(manifest);
    expect(readFileSync(`${path}.sha256`, "utf8")).toBe(`${sha256}  now.db\n`);
    expect(readdirSync(directory)).toEqual(["now.db", "now.db.json", "now.db.sha256"]);
  });

  it("is encrypted on its way: no decrypted copy is ever on disk", async () => {
    const manifest = await write(whole, 4096, key);
    const path = join(directory, "now.db");
    expect(manifest).toMatchObject({ revision: 501, keys: 500, encrypted: true, snapshotBytes: whole.length });
    expect(readFileSync(path).includes("value-7")).toBe(false);
    await extractSnapshot(path, async () => key, join(directory, "plain", "out.db"));
    expect(readFileSync(join(directory, "plain", "out.db")).equals(whole)).toBe(true);
  });

  it.each<[string, Buffer]>([
    ["cut off", whole.subarray(0, -1)],
    ["empty", Buffer.alloc(0)],
    ["changed on its way", Buffer.concat([Buffer.from("X"), whole.subarray(1)])],
  ])("is refused when it was %s, and nothing stays", async (_, bytes) => {
    await expect(write(bytes)).rejects.toThrow();
    expect(readdirSync(directory)).toEqual([]);
  });

  it("leaves the one before in place when the stream fails", async () => {
    await write(whole);
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield whole.subarray(0, 100);
      throw new Error("the connection was lost");
    };
    const path = join(directory, "now.db");
    const request = { path, secret: null, createdAtMs: 0, origin: () => origin };
    await expect(writeBackup(failing(), request)).rejects.toThrow("the connection was lost");
    expect(readFileSync(path).equals(whole)).toBe(true);
  });
});

describe("what a backup has", () => {
  it("counts keys that exist, not those that were deleted", async () => {
    const bytes = snapshotBytes({
      changes: [
        ["a", "1"],
        ["b", "1"],
        ["a", null],
        ["b", "2"],
      ],
    });
    writeFileSync(join(directory, "a.db"), bytes);
    expect(await verifyBackup(join(directory, "a.db"), noSecret)).toMatchObject({ revision: 5, keys: 1 });
  });

  const database = whole.subarray(0, -32);
  const flipped = Buffer.from(whole);
  flipped[whole.length >> 1]! ^= 1;
  it.each<[string, Buffer | null, string]>([
    ["a missing file", null, "backup/unreadable"],
    ["a damaged one", flipped, "backup/damaged"],
    ["one that was cut within its pages", whole.subarray(0, 8192), "backup/damaged"],
    ["one that was cut by its digest", database, "backup/damaged"],
    ["one that was cut by half of its digest", whole.subarray(0, -16), "backup/damaged"],
    ["an archive", Buffer.from("\x1f\x8b\x08 something else".repeat(500)), "backup/foreign"],
    ["a text", Buffer.from("kind: Cluster\n"), "backup/foreign"],
    ["an empty one", Buffer.alloc(0), "backup/foreign"],
    ["a database of something else", snapshotBytes({ changes: [], keyBucket: "buckets" }), "backup/foreign"],
    ["one of etcd 3.8", snapshotBytes({ changes: [], storageVersion: "3.8.0" }), "backup/too-new"],
    ["one of etcd 4.0", snapshotBytes({ changes: [], storageVersion: "4.0.0" }), "backup/too-new"],
  ])("is refused for %s, by the name of its file", async (_, bytes, code) => {
    const path = join(directory, "b.db");
    if (bytes !== null) writeFileSync(path, bytes);
    await expect(verifyBackup(path, noSecret)).rejects.toMatchObject({ code, message: expect.stringContaining(path) });
  });

  it("is refused for an encrypted one without a key", async () => {
    await write(whole, 4096, key);
    await expect(verifyBackup(join(directory, "now.db"), noSecret)).rejects.toMatchObject({
      code: "backup/key-needed",
    });
  });
});

describe("a snapshot whose revision is raised", () => {
  it.each([0, 1, 499, 500, 501, 2000])("has all of its %d keys, and the new revision", async (count) => {
    const path = join(directory, "c.db");
    writeFileSync(path, snapshotOfKeys(count));
    bumpSnapshotFile(path, 1_000_000_000);
    expect(await verifyBackup(path, noSecret)).toMatchObject({ revision: 1_000_000_000, keys: count });
    bumpSnapshotFile(path, 3_000_000_000);
    expect(await verifyBackup(path, noSecret)).toMatchObject({ revision: 3_000_000_000, keys: count });
  });
});
