import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkFreeSpace } from "./free-space.ts";

const MiB = 2 ** 20;
const space = ["m1", "m2", "m3"].map((machine) => ({ machine, bytes: 100 * MiB }));

describe("free space", () => {
  it("T8: of a disk is shared by the machines on it; the disk, what it has and what is needed are named", () => {
    const diskOf = (directory: string): { mountPoint: string; freeBytes: number } =>
      directory.includes("/m3/")
        ? { mountPoint: "/three", freeBytes: 100 * MiB }
        : { mountPoint: "/", freeBytes: 199 * MiB };
    const problems = checkFreeSpace("/srv/.haplan/demo", space, diskOf);
    expect(problems).toEqual([
      {
        severity: "error",
        code: "preflight/disk-full",
        summary: 'The disk at "/" has 199 MiB free, but 200 MiB are needed',
        detail: expect.stringContaining(
          'The data of m1 100 MiB, m2 100 MiB would be below "/srv/.haplan/demo/machines"',
        ),
      },
    ]);
  });

  it("T8: is asked of the disk that a directory would be on", () => {
    const directory = mkdtempSync(join(tmpdir(), "haplan-space-"));
    try {
      expect(checkFreeSpace(join(directory, "not", "yet"), space)).toEqual([]);
      const [problem] = checkFreeSpace(join(directory, "not", "yet"), [{ machine: "m1", bytes: 2 ** 60 }]);
      expect(problem?.summary).toMatch(/^The disk at "\/.*" has \d+ MiB free, but 1099511627776 MiB are needed$/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
