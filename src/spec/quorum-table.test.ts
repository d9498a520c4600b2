import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  faultToleranceOf,
  isSupportedMemberCount,
  partitionsOf,
  quorumOf,
  quorumTable,
  spreadOverDomains,
} from "./quorum-table.ts";

describe("quorum arithmetic", () => {
  it("the table is that of every text book", () => {
    expect(quorumTable(7).map((row) => [row.instances, row.quorum, row.faultTolerance])).toEqual([
      [1, 1, 0],
      [2, 2, 0],
      [3, 2, 1],
      [4, 3, 1],
      [5, 3, 2],
      [6, 4, 2],
      [7, 4, 3],
    ]);
  });

  it("two quorums always have a voter in common, and no smaller number does", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (voters) => {
        expect(2 * quorumOf(voters)).toBeGreaterThan(voters);
        expect(2 * (quorumOf(voters) - 1)).toBeLessThanOrEqual(voters);
        expect(quorumOf(voters) + faultToleranceOf(voters)).toBe(voters);
      }),
    );
  });

  it("only 3, 5 and 7 are supported", () => {
    const supported = [-3, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3.5, Number.NaN].filter(isSupportedMemberCount);
    expect(supported).toEqual([3, 5, 7]);
  });
});

describe("partitions", () => {
  it("six voters in two domains stop when cut 3|3", () => {
    expect(partitionsOf([3, 3])).toEqual([
      { sides: [6], survivor: 0 },
      { sides: [3, 3], survivor: null },
    ]);
  });

  it("three voters in three domains survive every cut but the one into single voters", () => {
    expect(partitionsOf([1, 1, 1])).toEqual([
      { sides: [3], survivor: 0 },
      { sides: [2, 1], survivor: 0 },
      { sides: [1, 1, 1], survivor: null },
    ]);
  });

  it("at most one side survives, and it has a majority", () => {
    const domains = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(domains, (voters) => {
        const total = voters.reduce((sum, count) => sum + count, 0);
        for (const { sides, survivor } of partitionsOf(voters)) {
          expect(sides.reduce((sum, side) => sum + side, 0)).toBe(total);
          const majorities = sides.filter((side) => side > total / 2);
          expect(majorities).toHaveLength(survivor === null ? 0 : 1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("members are spread as evenly as it goes", () => {
    expect(spreadOverDomains(5, 3)).toEqual([2, 2, 1]);
    expect(spreadOverDomains(3, 3)).toEqual([1, 1, 1]);
    expect(spreadOverDomains(3, 2)).toEqual([2, 1]);
  });
});
