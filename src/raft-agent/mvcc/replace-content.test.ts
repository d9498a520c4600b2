/** Reads while the store's content is replaced: a serializable read does not wait for an installation. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { decodeKeyValue } from "../api/key-value.ts";
import { rangeRequest } from "../api/range.ts";
import { MemoryBackend } from "./backend/backend.fake.ts";
import { openLmdbBackend } from "./backend/lmdb-backend.ts";
import { openStore } from "./mvcc-store.ts";
import { RevisionError, type Store } from "./store.ts";

const key = Buffer.from("key");
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function openInDir(): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), "haplan-replace-"));
  const store = await openStore({ backend: openLmdbBackend({ directory }) });
  cleanups.push(async () => {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
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

function textOf(store: Store): string {
  const kv = store.get(key);
  return kv === undefined ? "nothing" : Buffer.from(decodeKeyValue(kv).value).toString();
}

/**
 * The observable state of a store: its index, the value, the number of keys, and the first of them. A reader that
 * waits for an entry reads as soon as the store reports it, and must find its keys.
 */
function describeStore(store: Store): string {
  const { kvs, count } = store.range(rangeRequest(Buffer.from("\0"), { rangeEnd: Buffer.from("\0"), limit: 3 }));
  const values = kvs.map((kv) => Buffer.from(decodeKeyValue(kv).value.slice(0, 3)).toString());
  return `entry ${store.consistentIndex}: ${textOf(store)}, ${count} keys, ${values}`;
}

describe("a store whose content is replaced", () => {
  it.each([
    ["growing", 50, 400],
    ["shrinking", 400, 50],
  ])("%s, it returns the old or the new content at any time", async (_size, before, after) => {
    const leader = await openInDir();
    fill(leader, "new", after);
    const chunks: Uint8Array[] = [];
    for await (const chunk of leader.exportSnapshot()) chunks.push(chunk);

    const follower = await openInDir();
    fill(follower, "old", before);
    await follower.flush();
    const seen: string[] = [];
    let isDone = false;
    const asking = (async () => {
      while (!isDone) {
        // In the turn of the event loop, and between one promise and the next.
        for (let i = 0; i < 20; i++) {
          seen.push(describeStore(follower));
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
    seen.push(describeStore(follower));

    const old = `entry ${before + 1}: old, ${before + 1} keys, old,old,old`;
    const fresh = `entry ${after + 1}: new, ${after + 1} keys, new,new,new`;
    expect([...new Set(seen)]).toEqual([old, fresh]);
    fill(follower, "newer", 1);
    expect(describeStore(follower)).toBe(`entry ${after + 2}: newer, ${after + 2} keys, new,new,new`);
  });

  it.each([0, 11])(
    "A16: hashes either the old or the new content when it is replaced meanwhile (revision %i)",
    async (revision) => {
      const leader = await openInDir();
      fill(leader, "new", 40);
      await leader.compact(30);
      const follower = await openInDir();
      fill(follower, "old", 10);
      const [before, after] = [await follower.hashKv(revision), await leader.hashKv(0)];
      const imported = follower.importSnapshot(leader.exportSnapshot());
      const asked: Promise<unknown>[] = [];
      const ask = async (): Promise<void> => {
        const startedAt = follower.revision;
        const hash = await follower.hashKv(revision).catch((error: unknown) => error);
        if (hash instanceof RevisionError) expect(hash).toMatchObject({ reason: "compacted", compactedRevision: 30 });
        else if (startedAt === before.revision && follower.revision === before.revision) expect(hash).toEqual(before);
        else expect([before, after]).toContainEqual(hash);
      };
      let isDone = false;
      void imported.finally(() => (isDone = true));
      while (!isDone) {
        asked.push(ask());
        asked.at(-1)!.catch(() => {});
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(asked);
      expect(asked.length).toBeGreaterThan(1);
    },
  );

  it("A16: fails a copy of the old content instead of ending it as complete", async () => {
    const leader = await openInDir();
    fill(leader, "new", 50);
    const follower = await openInDir();
    fill(follower, "old", 2_000);
    const view = await follower.view();
    const copy = follower.exportSnapshot()[Symbol.asyncIterator]();
    await copy.next();
    await follower.importSnapshot(leader.exportSnapshot());
    await expect(copy.next()).rejects.toMatchObject({ code: "store/replaced" });
    expect(() => view.scan(0, 0, () => true)).toThrow("has replaced the content");
    view.close();
    expect(describeStore(follower)).toContain("entry 51: new");
  });

  // The simulator found reads that had waited for an entry of the snapshot but were answered from the previous keys.
  it("reaches the entry of the new content only when its keys are readable", async () => {
    const leader = await openInDir();
    fill(leader, "new", 9);
    const seen: (readonly [backend: number, store: number, text: string])[] = [];
    class Observed extends MemoryBackend {
      override async replace(...content: Parameters<MemoryBackend["replace"]>): Promise<void> {
        await super.replace(...content);
        seen.push([this.consistentIndex, follower.consistentIndex, textOf(follower)]);
      }
    }
    const follower = await openStore({ backend: new Observed() });
    fill(follower, "old", 4);
    const note = (): void => void seen.push([10, follower.consistentIndex, textOf(follower)]);
    await follower.importSnapshot(leader.exportSnapshot(), note);
    note();
    expect(seen).toEqual([
      [10, 10, "new"],
      [10, 10, "new"],
      [10, 10, "new"],
    ]);
  });
});
