import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { makeFolderDurably } from "./durable-file.ts";

const folder = mkdtempSync(join(tmpdir(), "haplan-durable-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("makeFolderDurably", () => {
  test("makes a folder and its parents for the user alone, and is content with one that is there", () => {
    const path = join(folder, "a/b/c");
    makeFolderDurably(path);
    makeFolderDurably(path);
    expect(["a", "a/b", "a/b/c"].map((name) => statSync(join(folder, name)).mode & 0o777)).toEqual([
      0o700, 0o700, 0o700,
    ]);
  });

  test.each([
    // Node.js never comes back from a recursive mkdir there.
    ["below /proc", () => "/proc/haplan/data", /ENOENT.*mkdir '\/proc\/haplan'/],
    ["below a file", () => join(folder, "file/data"), /EEXIST.*file'/],
    ["at a file", () => join(folder, "file"), /EEXIST.*file'/],
  ])("says at once that it cannot make one %s", (_, path, message) => {
    writeFileSync(join(folder, "file"), "");
    expect(() => makeFolderDurably(path())).toThrow(message);
  });
});
