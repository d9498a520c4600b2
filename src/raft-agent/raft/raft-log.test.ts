import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Entry, EntryKind, entryBytes } from "./entry.ts";
import { RaftLog } from "./raft-log.ts";

function logOf(terms: readonly number[], baseIndex = 0, baseTerm = 0): RaftLog {
  const log = new RaftLog(baseIndex, baseTerm);
  for (const term of terms) log.append(entry(log.lastIndex + 1, term));
  return log;
}

function entry(index: number, term: number): Entry {
  return { index, term, kind: EntryKind.normal, data: new Uint8Array(index % 7) };
}

const ascendingTerms = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 }).map((list) => list.sort());

describe("raft log", () => {
  it("matches a plain list after any appends, truncation and compaction", () => {
    fc.assert(
      fc.property(ascendingTerms, fc.nat(20), fc.nat(20), (terms, keep, forget) => {
        const log = logOf(terms);
        const last = Math.min(keep, terms.length);
        log.truncateFrom(last + 1);
        const base = Math.min(forget, last);
        log.compact(base);
        const expected = terms.slice(0, last).map((term, i) => entry(i + 1, term));
        expect(log.lastIndex).toBe(last);
        expect(log.firstIndex).toBe(base + 1);
        expect(log.slice(base + 1, last)).toEqual(expected.slice(base));
        expect(log.termAt(base)).toBe(expected[base - 1]?.term ?? 0);
        expect(log.termAt(base - 1)).toBeNull();
        expect(log.termAt(last + 1)).toBeNull();
        const bytes = expected.slice(base).reduce((sum, one) => sum + entryBytes(one), 0);
        expect(log.bytesBetween(base + 1, last)).toBe(bytes);
      }),
    );
  });

  it("byte-limited slices hold as much as fits, and at least one entry", () => {
    fc.assert(
      fc.property(fc.nat(19), fc.nat(600), (skip, maxBytes) => {
        const log = logOf(new Array(20).fill(1));
        const from = skip + 1;
        const last = log.lastWithinBytes(from, 20, maxBytes);
        expect(last).toBeGreaterThanOrEqual(from);
        if (last > from) expect(log.bytesBetween(from, last)).toBeLessThanOrEqual(maxBytes);
        if (last < 20) expect(log.bytesBetween(from, last + 1)).toBeGreaterThan(maxBytes);
      }),
    );
  });

  it("hint is the last position at or below a term, as found by walking back", () => {
    fc.assert(
      fc.property(ascendingTerms, fc.nat(20), fc.nat(6), (terms, index, term) => {
        const log = logOf(terms, 3, 1);
        let expected = Math.min(index, log.lastIndex);
        while (expected > 3 && (log.termAt(expected) ?? 0) > term) expected -= 1;
        expect(log.lastAtOrBelowTerm(index, term).index).toBe(expected);
      }),
    );
  });

  it("rejects a gap", () => {
    expect(() => logOf([1, 1]).append(entry(4, 1))).toThrow("entry 4 follows the last one, 2");
  });
});
