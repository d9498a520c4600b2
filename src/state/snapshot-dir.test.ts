import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSnapshotDir } from "./snapshot-dir.ts";

let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "haplan-snapshots-")), "snapshots");
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true, force: true }));

const content = Buffer.from("a database of some length ".repeat(20));
const whole = Buffer.concat([content, createHash("sha256").update(content).digest()]);

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("a snapshot that is kept", () => {
  it.each([1, 7, 32, 33, 4096])("is whole and private when it comes in pieces of %d bytes", async (size) => {
    const kept = await createSnapshotDir(directory).keep("now", pieces(whole, size));
    expect(readFileSync(kept.path)).toEqual(whole);
    expect(statSync(kept.path).mode & 0o777).toBe(0o600);
    expect(kept).toMatchObject({ sizeBytes: whole.length, sha256: createHash("sha256").update(whole).digest("hex") });
    expect(readFileSync(`${kept.path}.sha256`, "utf8")).toBe(`${kept.sha256}  now.db\n`);
  });

  it.each([
    ["cut off", whole.subarray(0, -1)],
    ["empty", Buffer.alloc(0)],
    ["changed on its way", Buffer.concat([Buffer.from("X"), whole.subarray(1)])],
  ])("is refused when it was %s, and nothing stays", async (_, bytes) => {
    await expect(createSnapshotDir(directory).keep("now", pieces(bytes, 50))).rejects.toThrow("is incomplete");
    expect(readdirSync(directory)).toEqual([]);
  });
});
