import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { makeDirDurably, writeFileDurably } from "./durable-file.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-durable-file-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("writeFileDurably", () => {
  it("names the file of a write that does not fit, and leaves the former one", () => {
    const path = join(directory, "state.json");
    writeFileDurably(path, "former");
    const aside = `${path}.${process.pid}.tmp`;
    symlinkSync("/dev/full", aside);
    expect(() => writeFileDurably(path, "new")).toThrow(`ENOSPC: no space left on device, write '${path}'`);
    expect(readFileSync(path, "utf8")).toBe("former");
    expect(existsSync(aside)).toBe(false);
  });
});

describe("makeDirDurably", () => {
  it("makes a directory and its parents for the user alone, and is content with one that is there", () => {
    const path = join(directory, "a/b/c");
    makeDirDurably(path);
    makeDirDurably(path);
    expect(["a", "a/b", "a/b/c"].map((name) => statSync(join(directory, name)).mode & 0o777)).toEqual([
      0o700, 0o700, 0o700,
    ]);
  });

  it.each([
    // Node.js never comes back from a recursive mkdir there.
    ["below /proc", () => "/proc/haplan/data", /ENOENT.*mkdir '\/proc\/haplan'/],
    ["below a file", () => join(directory, "file/data"), /EEXIST.*file'/],
    ["at a file", () => join(directory, "file"), /EEXIST.*file'/],
  ])("says at once that it cannot make one %s", (_, path, message) => {
    writeFileSync(join(directory, "file"), "");
    expect(() => makeDirDurably(path())).toThrow(message);
  });
});
