import { mkdtempSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openLmdbBackend } from "./lmdb-backend.ts";

it("a store whose file was cut off is refused in words, before reading it ends the process", async () => {
  const folder = mkdtempSync(join(tmpdir(), "haplan-cut-off-"));
  const path = join(folder, "store.mdb");
  try {
    const backend = openLmdbBackend({ folder });
    for (let main = 2; main < 1_000; main++) backend.put(main, 0, false, Buffer.alloc(300, "v"));
    await backend.close();
    truncateSync(path, Math.floor(statSync(path).size / 2));
    expect(() => openLmdbBackend({ folder })).toThrow(
      expect.objectContaining({ code: "store/cut-off", message: expect.stringContaining("so it was cut off") }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
