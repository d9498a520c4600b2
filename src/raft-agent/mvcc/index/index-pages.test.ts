/** Opening from pages results in the same index as reading every value, whatever happened before the process ended. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRandom } from "../../../base/random.ts";
import type { Backend } from "../backend/backend.ts";
import { openLmdbBackend } from "../backend/lmdb-backend.ts";
import { openStore } from "../mvcc-store.ts";
import type { Store } from "../store.ts";
import { type IndexedStore, openIndex } from "./open-index.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const indexPagePrefix = 3;
let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "haplan-index-pages-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Everything in an index: per key its versions, newest first, and its lease. */
function describeIndex(state: IndexedStore): unknown {
  const { index, leases, revision, compactedRevision } = state;
  const keys: unknown[] = [];
  index.forEachSlot(Uint8Array.of(0), Uint8Array.of(0), (slot) => {
    const { versions } = index;
    const chain: number[][] = [];
    for (let record = index.head(slot); record !== 0; record = versions.older(record)) {
      chain.push([versions.main(record), versions.sub(record), versions.version(record), versions.created(record)]);
    }
    keys.push([Buffer.from(index.keyOf(slot)).toString(), chain, leases.leaseOf(slot)]);
    return true;
  });
  return { keys, revision, compactedRevision };
}

/** The same backend, as if it stored no pages. */
function withoutPages(backend: Backend): Backend {
  const get = (target: Backend, name: keyof Backend): unknown => {
    const value: unknown = name === "indexPages" ? undefined : target[name];
    return typeof value === "function" ? value.bind(target) : value;
  };
  return new Proxy(backend, { get: (target, name) => get(target, name as keyof Backend) });
}

async function indexOf(directory: string, usePages: boolean): Promise<unknown> {
  const backend = openLmdbBackend({ directory });
  const state = await openIndex(usePages ? backend : withoutPages(backend), nextTurn);
  await backend.close();
  return describeIndex(state);
}

/** Every page's last revision and bytes, as they are on disk. */
async function pagesIn(directory: string): Promise<Map<string, Buffer>> {
  const tree = open<Buffer, Buffer>({
    path: join(directory, "store.mdb"),
    noSubdir: true,
    keyEncoding: "binary",
    encoding: "binary",
  });
  const pages = new Map<string, Buffer>();
  for (const { key, value } of tree.getRange({ start: Buffer.of(indexPagePrefix) })) {
    pages.set(Buffer.from(key).toString("hex"), Buffer.from(value));
  }
  await tree.close();
  return pages;
}

async function changePage(directory: string, key: string, page: Buffer | null): Promise<void> {
  const path = join(directory, "store.mdb");
  const tree = open<Buffer, Buffer>({ path, noSubdir: true, keyEncoding: "binary", encoding: "binary" });
  if (page === null) await tree.remove(Buffer.from(key, "hex"));
  else await tree.put(Buffer.from(key, "hex"), page);
  await tree.close();
}

/** Puts, deletes and leases over few keys, several changes in some transactions. */
function change(store: Store, random: ReturnType<typeof createRandom>, transactions: number): void {
  for (let i = 0; i < transactions; i++) {
    const txn = store.beginWrite();
    for (let left = 1 + random.below(3); left > 0; left--) {
      const key = Buffer.from(`key-${random.below(3000)}`);
      if (random.below(5) === 0) txn.deleteRange(key, new Uint8Array(0));
      else txn.put(key, Buffer.from("value"), random.below(4) === 0 ? BigInt(1 + random.below(9)) - 5n : 0n);
    }
    txn.end();
    store.setConsistentIndex(store.consistentIndex + 1, 1);
  }
}

describe("pages of the key index", () => {
  it("pages and values agree after every crash, including interrupted compactions", async () => {
    const random = createRandom(11);
    let directory = join(root, "0");
    mkdirSync(directory);
    for (let round = 1; round <= 4; round++) {
      const store = await openStore({ backend: openLmdbBackend({ directory }) });
      change(store, random, 4000);
      await store.flush();
      if (round > 1) {
        const scrubbed = store.compact(store.revision - random.below(3000));
        if (round !== 3) await scrubbed;
        else await nextTurn();
      }
      change(store, random, 3000);
      await store.flush();
      // The content of the disk at this moment, without anything that a close would add, is what a killed process
      // leaves.
      const next = join(root, String(round));
      cpSync(directory, next, { recursive: true });
      await store.close();
      const [left, leftToo] = [join(root, `${round}-left`), join(root, `${round}-left-too`)];
      for (const copy of [left, leftToo]) cpSync(next, copy, { recursive: true });
      expect((await pagesIn(next)).size).toBeGreaterThan(0);
      // An unfinished compaction leaves more in pages than in values, until it is resumed.
      if (round !== 3) expect(await indexOf(left, true)).toEqual(await indexOf(leftToo, false));
      const again = await openStore({ backend: openLmdbBackend({ directory: left }) });
      await again.compact(again.revision);
      await again.close();
      expect(await indexOf(left, true)).toEqual(await indexOf(left, false));
      directory = next;
    }
  });

  it("a compaction shrinks the pages with the values", async () => {
    const store = await openStore({ backend: openLmdbBackend({ directory: root }) });
    change(store, createRandom(5), 20_000);
    await store.flush();
    const sizeOf = (pages: Map<string, Buffer>): number =>
      [...pages.values()].reduce((sum, { length }) => sum + length, 0);
    await store.close();
    const before = sizeOf(await pagesIn(root));
    const again = await openStore({ backend: openLmdbBackend({ directory: root }) });
    await again.compact(again.revision);
    await again.close();
    expect(sizeOf(await pagesIn(root))).toBeLessThan(before / 3);
    expect(await indexOf(root, true)).toEqual(await indexOf(root, false));
  });

  it.each([
    ["a damaged page", (page: Buffer) => Buffer.from(page.map((byte, at) => (at === 40 ? byte ^ 1 : byte)))],
    ["a truncated page", (page: Buffer) => page.subarray(0, page.length - 1)],
    ["an empty page", () => Buffer.alloc(0)],
    ["a missing page", () => null],
  ])("%s causes the values to be read, and the pages to be rewritten", async (_, damage) => {
    const store = await openStore({ backend: openLmdbBackend({ directory: root }) });
    change(store, createRandom(7), 5000);
    await store.close();
    const expected = await indexOf(root, false);
    const pages = await pagesIn(root);
    const [first] = pages.keys();
    await changePage(root, first!, damage(pages.get(first!)!));
    expect(await indexOf(root, true)).toEqual(expected);
    expect(await pagesIn(root)).toEqual(pages);
    expect(await indexOf(root, true)).toEqual(expected);
  });
});
