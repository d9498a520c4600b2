import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openLmdbBackend } from "./lmdb-backend.ts";

it.each([0.5, 0.02])(
  "a store truncated to %d is rejected with a message, before reading it kills the process",
  async (part) => {
    const directory = mkdtempSync(join(tmpdir(), "haplan-cut-off-"));
    const path = join(directory, "store.mdb");
    try {
      const backend = openLmdbBackend({ directory });
      for (let main = 2; main < 1_000; main++) backend.put(main, 0, false, Buffer.alloc(300, "v"));
      await backend.close();
      truncateSync(path, Math.floor(statSync(path).size * part));
      expect(() => openLmdbBackend({ directory })).toThrow(
        expect.objectContaining({ code: "store/cut-off", message: expect.stringContaining("so it was truncated") }),
      );
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

it("A low: files of the store are private, also those of an earlier version", async () => {
  const directory = mkdtempSync(join(tmpdir(), "haplan-modes-"));
  const modes = (): string[] =>
    readdirSync(directory).map((name) => `${name} ${(statSync(join(directory, name)).mode & 0o777).toString(8)}`);
  const maskBefore = process.umask(0o022);
  try {
    const expected = ["store.mdb 600", "store.mdb-lock 600"];
    await openLmdbBackend({ directory }).close();
    expect(modes()).toEqual(expected);
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o664);
    await openLmdbBackend({ directory }).close();
    expect(modes()).toEqual(expected);
  } finally {
    process.umask(maskBefore);
    rmSync(directory, { recursive: true, force: true });
  }
});
