import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, EntryKind } from "./entry.ts";
import { EntryList, packSize } from "./entry-list.ts";

/** Occasionally an entry with a payload that is too large to be packed. */
function entry(index: number, term: number): Entry {
  const bytes = index % 500 === 7 ? 3000 : index % 9;
  const kind = index % 100 === 3 ? EntryKind.configuration : EntryKind.normal;
  return { index, term, kind, data: new Uint8Array(bytes).fill(index) };
}

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("push" as const), count: fc.integer({ min: 1, max: 3 * packSize }) }),
    fc.record({ do: fc.constant("pack" as const), count: fc.nat(3 * packSize) }),
    fc.record({ do: fc.constant("truncate" as const), count: fc.nat(3 * packSize) }),
    fc.record({ do: fc.constant("drop" as const), count: fc.nat(3 * packSize) }),
  ),
  { maxLength: 12 },
);

describe("entry list", () => {
  it("matches a plain list of objects under any additions and removals at either end", () => {
    fc.assert(
      fc.property(steps, fc.nat(), fc.nat(), (list, someIndex, length) => {
        const entries = new EntryList(5);
        let [first, term, plain]: [number, number, Entry[]] = [5, 1, []];
        for (const step of list) {
          if (step.do === "push") {
            term++;
            for (let left = step.count; left > 0; left--) {
              const next = entry(first + plain.length, term);
              entries.push(next);
              plain.push(next);
            }
          } else if (step.do === "pack") {
            entries.packUpTo(first + Math.min(plain.length, step.count) - 1);
          } else if (step.do === "truncate") {
            const kept = Math.max(0, plain.length - step.count);
            entries.truncateFrom(first + kept);
            plain.length = kept;
          } else {
            const dropped = Math.min(plain.length, step.count);
            entries.dropUpTo(first + dropped - 1);
            plain = plain.slice(dropped);
            first += dropped;
          }
          expect([entries.first, entries.last]).toEqual([first, first + plain.length - 1]);
        }
        const from = first + (someIndex % (plain.length + 1));
        const to = Math.min(from + (length % 2500), first + plain.length - 1);
        expect(entries.slice(from, to)).toEqual(plain.slice(from - first, to - first + 1));
        expect(entries.at(from)).toEqual(plain[from - first]);
        expect(entries.termAt(from)).toBe(plain[from - first]?.term);
        for (const outside of [first - 1, first + plain.length])
          expect([entries.at(outside), entries.termAt(outside)]).toEqual([undefined, undefined]);
      }),
      { numRuns: 50 },
    );
  });

  it("does not retain the buffers of packed entries", () => {
    const entries = new EntryList(1);
    const received = new Uint8Array(1 << 20);
    for (let index = 1; index <= 2 * packSize; index++) {
      entries.push({ index, term: 1, kind: EntryKind.normal, data: received.subarray(index, index + 10) });
    }
    entries.packUpTo(2 * packSize - 1);
    expect(entries.at(packSize)?.data.buffer).not.toBe(received.buffer);
    expect(entries.at(packSize + 1)?.data.buffer).toBe(received.buffer);
  });
});
