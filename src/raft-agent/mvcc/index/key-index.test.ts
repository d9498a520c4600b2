/** Tests the index and the interval tree at sizes where leaves split and merge, slots are reused and segments grow. */
import { describe, expect, it } from "vitest";
import { createRandom } from "../../../base/random.ts";
import { compareBytes } from "../key-range.ts";
import { IntervalTree, type KeyInterval } from "../watch/interval-tree.ts";
import { KeyIndex } from "./key-index.ts";
import { keyWord, sortSlots } from "./sort-slots.ts";

type Version = { main: number; live: boolean };

const openEnd = new Uint8Array(1);

describe("the key index", () => {
  it.each([1, 2, 3])("matches a plain map through thousands of changes and compactions, seed %i", (seed) => {
    const random = createRandom(seed);
    const index = new KeyIndex();
    const model = new Map<string, Version[]>();
    const stored = new Set<string>();
    let revision = 1;
    const change = (): void => {
      revision++;
      const key = `key/${random.below(6000)}`;
      const bytes = Buffer.from(key);
      const versions = model.get(key) ?? [];
      model.set(key, versions);
      const live = versions.at(-1)?.live === true;
      if (live && random.below(2) === 0) index.tombstone(index.find(bytes), revision, 0);
      else index.put(bytes, revision, 0, false);
      versions.push({ main: revision, live: index.versions.version(index.head(index.find(bytes))) !== 0 });
      stored.add(`${revision}`);
    };
    const liveAt = (key: string, at: number): boolean =>
      model.get(key)!.findLast((version) => version.main <= at)?.live === true;
    const check = (at: number): void => {
      const from = `key/${random.below(6000)}`;
      const inOrder: string[] = [];
      index.forEachSlot(Buffer.from(from), openEnd, (slot) => {
        if (index.liveAt(slot, at) !== 0) inOrder.push(Buffer.from(index.keyOf(slot)).toString());
        return true;
      });
      const expected = [...model.keys()].filter((key) => key >= from && liveAt(key, at)).sort();
      expect(inOrder).toEqual(expected);
      expect(index.countLive(Buffer.from(from), openEnd, at)).toBe(expected.length);
    };
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 4000; i++) change();
      const at = revision - random.below(2000);
      check(revision);
      check(at);
      for (let slot = 0; slot < index.slotLimit; slot++) {
        if (index.head(slot) !== 0) index.compactSlot(slot, at, (main) => expect(stored.delete(`${main}`)).toBe(true));
      }
      check(revision);
      check(at);
    }
    expect(index.versions.count).toBe(stored.size);
    for (let slot = 0; slot < index.slotLimit; slot++) {
      if (index.head(slot) !== 0) index.compactSlot(slot, revision + 1, () => undefined);
    }
    expect(index.size).toBe([...model.keys()].filter((key) => liveAt(key, revision)).length);
  });

  it("accepts keys of every size, even larger than a chunk of its arena", () => {
    const index = new KeyIndex();
    const keys = [0, 1, 7, 8, 9, 4096, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20].map((length) =>
      new Uint8Array(length).fill(length % 251),
    );
    keys.forEach((key, i) => void index.put(key, i + 2, 0, false));
    keys.forEach((key, i) => {
      expect(index.versions.main(index.head(index.find(key)))).toBe(i + 2);
      expect(compareBytes(index.keyOf(index.find(key)), key)).toBe(0);
    });
  });
});

describe("sorting slots", () => {
  it("results in byte order for any prefixes and ends", () => {
    const random = createRandom(5);
    const texts = new Set<string>([""]);
    while (texts.size < 3000) {
      const stem = ["", "/registry/", "/registry/pods/namespace-", "\0\0\0\0\0\0"][random.below(4)]!;
      texts.add(stem + String.fromCharCode(...Array.from({ length: random.below(9) }, () => random.below(3))));
    }
    const keys = Array.from(texts, (text) => Buffer.from(text, "latin1"));
    const slots = Uint32Array.from(keys.keys());
    sortSlots(slots, (slot, depth, count) => keyWord(keys[slot]!, 0, keys[slot]!.length, depth, count));
    expect(Array.from(slots, (slot) => keys[slot]!.toString("hex"))).toEqual(
      [...keys].sort(Buffer.compare).map((key) => key.toString("hex")),
    );
  });
});

describe("the interval tree", () => {
  it("finds exactly the intervals that contain a key while intervals are added and removed", () => {
    const random = createRandom(7);
    const tree = new IntervalTree<KeyInterval>(random);
    const alive: KeyInterval[] = [];
    const key = (): Uint8Array => Uint8Array.from({ length: 1 + random.below(2) }, () => random.below(30));
    for (let step = 0; step < 3000; step++) {
      if (alive.length > 0 && random.below(3) === 0) {
        const [gone] = alive.splice(random.below(alive.length), 1);
        tree.remove(gone!);
      } else if (alive.length < 300) {
        const interval = { start: key(), end: random.below(10) === 0 ? null : key() };
        alive.push(interval);
        tree.add(interval);
      }
      const wanted = key();
      const found: KeyInterval[] = [];
      tree.forEachHolding(wanted, (interval) => found.push(interval));
      const expected = alive.filter(
        ({ start, end }) => compareBytes(start, wanted) <= 0 && (end === null || compareBytes(wanted, end) < 0),
      );
      expect(new Set(found)).toEqual(new Set(expected));
      expect(found.length).toBe(expected.length);
    }
  });
});
