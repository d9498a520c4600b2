import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createNodeFileSystem } from "./node-file-system.ts";
import { openWal } from "./open-wal.ts";
import { entry, noBatch } from "./wal.fixture.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "haplan-wal-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("the node file system", () => {
  it("a file keeps its content, also after a rename, and reads end at its size", async () => {
    const fileSystem = createNodeFileSystem(root);
    await fileSystem.makeDir("a/b");
    const file = await fileSystem.open("a/b/one", { create: true });
    await file.write(4, Buffer.from("later"));
    await fileSystem.rename("a/b/one", "a/b/two");
    await file.writeDurably(0, Buffer.from("soon"));
    await fileSystem.syncDir("a/b");
    expect(await file.size()).toBe(9);
    expect(Buffer.from(await file.read(2, 100)).toString()).toBe("onlater");
    await file.truncate(3);
    await file.sync();
    await file.close();
    expect(await fileSystem.list("a/b")).toEqual(["two"]);
    expect(await fileSystem.list("nowhere")).toEqual([]);
    await expect(fileSystem.open("a/b/two", { create: true })).rejects.toMatchObject({ code: "EEXIST" });
    const reader = await fileSystem.open("a/b/two", { create: false, readOnly: true });
    expect(Buffer.from(await reader.read(0, 10)).toString()).toBe("soo");
    await expect(reader.write(0, Buffer.from("x"))).rejects.toMatchObject({ code: "EBADF" });
    await reader.close();
    await fileSystem.remove("a/b/two");
    await expect(fileSystem.remove("a/b/two")).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("a log works on it", async () => {
    const options = {
      fileSystem: createNodeFileSystem(root),
      directory: "wal",
      metadata: Buffer.from("m"),
      segmentBytes: 65536,
    };
    const { wal } = await openWal(options);
    for (let index = 1; index <= 200; index++)
      await wal.append({ ...noBatch, entries: [entry(index, 1, "x".repeat(1000))] });
    await wal.close();
    const again = await openWal(options);
    expect(again.recovered.entries).toHaveLength(200);
    await again.wal.close();
  });
});

describe("a lock", () => {
  const holder = (path: string): string =>
    `import { createServer } from "node:net"; createServer().listen(${JSON.stringify(path)}, () => console.log("held"));`;

  it.each([
    ["a short path", ""],
    ["a path longer than a socket address", "x".repeat(120)],
  ])("a lock at %s has one holder at a time and can be taken again after its release", async (_, deeper) => {
    const fileSystem = createNodeFileSystem(root);
    const directory = join("wal", deeper);
    await fileSystem.makeDir(directory);
    const lock = await fileSystem.lock(join(directory, "lock"));
    await expect(fileSystem.lock(join(directory, "lock"))).rejects.toMatchObject({ code: "file-system/locked" });
    await lock.release();
    const second = await fileSystem.lock(join(directory, "lock"));
    expect(await fileSystem.list(directory)).toEqual(["lock"]);
    await second.release();
    expect(await fileSystem.list(directory)).toEqual([]);
  });

  it("a lock is held while another process lives and is released when that process is killed", async () => {
    const fileSystem = createNodeFileSystem(root);
    const process_ = execa(process.execPath, ["--input-type=module", "-e", holder(join(root, "lock"))], {
      reject: false,
    });
    await new Promise((resolve) => process_.stdout.once("data", resolve));
    await expect(fileSystem.lock("lock")).rejects.toMatchObject({ code: "file-system/locked" });
    process_.kill("SIGKILL");
    await process_;
    expect(await fileSystem.list(".")).toEqual(["lock"]);
    await (await fileSystem.lock("lock")).release();
  });
});
