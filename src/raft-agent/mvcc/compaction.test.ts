/** How compaction shares the event loop and the disk with other work. */
import { describe, expect, it } from "vitest";
import { MemoryBackend } from "./backend/backend.fake.ts";
import { openStore } from "./mvcc-store.ts";
import type { Store } from "./store.ts";

const keys = 10_000;

/** Counts deletions since the last commit, and fails on request. */
class ObservedBackend extends MemoryBackend {
  mostUncommitted = 0;
  isBroken = false;
  commits = 0;
  #uncommitted = 0;

  override delete(main: number, sub: number): void {
    super.delete(main, sub);
    this.#uncommitted += 1;
    this.mostUncommitted = Math.max(this.mostUncommitted, this.#uncommitted);
  }

  override async commit(): Promise<void> {
    this.commits += 1;
    if (this.isBroken) throw new Error("the disk is gone");
    await super.commit();
    this.#uncommitted = 0;
  }
}

/** Each key is written twice. */
async function storeToCompact(backend: MemoryBackend, yieldTurn: () => Promise<void>): Promise<Store> {
  const store = await openStore({ backend, yieldTurn });
  for (let round = 0; round < 2; round++) {
    const write = store.beginWrite();
    for (let key = 0; key < keys; key++) write.put(Buffer.from(`key/${key}`), Buffer.from("value"), 0n);
    write.end();
  }
  return store;
}

describe("compaction", () => {
  it("commits its deletions a few at a time, between turns of the event loop", async () => {
    const backend = new ObservedBackend();
    let turns = 0;
    const store = await storeToCompact(backend, async () => {
      turns += 1;
    });
    await store.compact(store.revision);
    expect(backend.mostUncommitted).toBeGreaterThan(0);
    expect(backend.mostUncommitted).toBeLessThanOrEqual(2200);
    expect(turns).toBeGreaterThan(keys / 200);
  });

  it("ends silently when the disk fails, which the backend reports by itself", async () => {
    const backend = new ObservedBackend();
    const store = await storeToCompact(backend, () => Promise.resolve());
    backend.isBroken = true;
    await store.compact(store.revision);
    expect(backend.commits).toBe(1);
  });
});
