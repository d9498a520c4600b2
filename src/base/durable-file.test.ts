import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { makeDirDurably } from "./durable-file.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-durable-file-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

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
