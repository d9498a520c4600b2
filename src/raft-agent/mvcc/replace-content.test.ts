/** Readers that ask while the store's content is replaced: a serializable read does not wait for an installation. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { decodeKeyValue } from "../api/key-value.ts";
import { rangeRequest } from "../api/range.ts";
import { openLmdbBackend } from "./lmdb-backend.ts";
import { openStore } from "./mvcc-store.ts";
import type { Store } from "./store.ts";

const key = Buffer.from("key");
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function openInFolder(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "haplan-replace-"));
  const store = await openStore({ backend: openLmdbBackend({ folder }) });
  cleanups.push(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return store;
}

/** One key that each of `changes` revisions puts again, beside one that makes the content large. */
function fill(store: Store, text: string, changes: number): void {
  for (let i = 0; i < changes; i++) {
    const write = store.beginWrite();
    write.put(key, Buffer.from(text), 0n);
    write.put(Buffer.from(`${text}/${i}`), Buffer.alloc(500, text), 0n);
    store.setConsistentIndex(write.end(), 1);
  }
}

/** What a member tells of the store: the value, how many keys there are, and what one of the older ones holds. */
function tell(store: Store): string {
  const { kvs, count } = store.range(rangeRequest(Buffer.from("\0"), { rangeEnd: Buffer.from("\0"), limit: 3 }));
  const values = kvs.map((kv) => Buffer.from(decodeKeyValue(kv).value.slice(0, 3)).toString());
  const value = store.get(key);
  return `${value === undefined ? "nothing" : Buffer.from(decodeKeyValue(value).value).toString()}, ${count}: ${values}`;
}

describe("a store whose content is replaced", () => {
  it.each([
    ["by more", 50, 400],
    ["by less", 400, 50],
  ])("%s tells the old content or the new, whenever it is asked", async (_size, before, after) => {
    const leader = await openInFolder();
    fill(leader, "new", after);
    const chunks: Uint8Array[] = [];
    for await (const chunk of leader.exportSnapshot()) chunks.push(chunk);

    const follower = await openInFolder();
    fill(follower, "old", before);
    await follower.flush();
    const told: string[] = [];
    let isDone = false;
    const asking = (async () => {
      while (!isDone) {
        // In the turn of the event loop, and between one promise and the next.
        for (let i = 0; i < 20; i++) {
          told.push(tell(follower));
          await null;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      for (const chunk of chunks) {
        yield chunk;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await follower.importSnapshot(stream()).finally(() => (isDone = true));
    await asking;
    told.push(tell(follower));

    const old = `old, ${before + 1}: old,old,old`;
    const fresh = `new, ${after + 1}: new,new,new`;
    expect([...new Set(told)]).toEqual([old, fresh]);
    fill(follower, "newer", 1);
    expect(tell(follower)).toBe(`newer, ${after + 2}: new,new,new`);
  });
});
