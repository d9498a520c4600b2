import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { majorityOf } from "../../base/majority.ts";
import { quorumValue, tallyVotes, type VoterGroups } from "./quorum.ts";

/** Every subset of the members, each as the set of those that agree. */
function subsetsOf(members: readonly string[]): ReadonlySet<string>[] {
  const count = 2 ** members.length;
  return Array.from({ length: count }, (_, bits) => new Set(members.filter((_, i) => (bits >> i) & 1)));
}

/** The definition itself: more than half of each group is in the set. */
function isQuorum(voterGroups: VoterGroups, agreeing: ReadonlySet<string>): boolean {
  return voterGroups.every((group) => group.filter((member) => agreeing.has(member)).length * 2 > group.length);
}

/** All voter groups of up to five incoming and five outgoing voters that share any number of members. */
function allVoterGroups(): VoterGroups[] {
  const electorates: VoterGroups[] = [];
  for (let incoming = 1; incoming <= 5; incoming += 1) {
    const voters = Array.from({ length: incoming }, (_, i) => `m${i}`);
    electorates.push([voters]);
    for (let outgoing = 1; outgoing <= 5; outgoing += 1) {
      for (let shared = 0; shared <= Math.min(incoming, outgoing); shared += 1) {
        electorates.push([voters, Array.from({ length: outgoing }, (_, i) => `m${incoming - shared + i}`)]);
      }
    }
  }
  return electorates;
}

const electorates = allVoterGroups();

describe("quorum", () => {
  it("majority is the least number that two disjoint parts of a group cannot both reach", () => {
    for (let size = 1; size <= 9; size += 1) {
      expect(majorityOf(size) * 2).toBeGreaterThan(size);
      expect((majorityOf(size) - 1) * 2).toBeLessThanOrEqual(size);
    }
  });

  it("tally agrees with the definition for every vote in every voterGroups up to 5+5", () => {
    for (const voterGroups of electorates) {
      const members = [...new Set(voterGroups.flat())];
      for (const granted of subsetsOf(members)) {
        const won = isQuorum(voterGroups, granted);
        expect(tallyVotes(voterGroups, (member) => granted.has(member))).toBe(won ? "won" : "lost");
        // The same granted votes, with all others undecided, can never be lost.
        const open = tallyVotes(voterGroups, (member) => (granted.has(member) ? true : undefined));
        expect(open).toBe(won ? "won" : "pending");
        // And the same rejected votes are lost exactly when all others together are not a quorum.
        const others = new Set(members.filter((member) => !granted.has(member)));
        const rejected = tallyVotes(voterGroups, (member) => (granted.has(member) ? false : undefined));
        expect(rejected).toBe(isQuorum(voterGroups, others) ? "pending" : "lost");
      }
    }
  });

  it("value is the largest one that a quorum has reached, in every voterGroups up to 5+5", () => {
    const values = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 10, maxLength: 10 });
    const indexed = fc.record({ at: fc.nat(electorates.length - 1), values });
    fc.assert(
      fc.property(indexed, ({ at, values }) => {
        const voterGroups = electorates[at] ?? [];
        const heldBy = (member: string): number => values[Number(member.slice(1))] ?? 0;
        const reached = (value: number): boolean =>
          isQuorum(voterGroups, new Set(voterGroups.flat().filter((member) => heldBy(member) >= value)));
        const expected = Math.max(0, ...values.filter(reached));
        expect(quorumValue(voterGroups, heldBy)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it("without voters no election is won and nothing is committed", () => {
    expect(tallyVotes([], () => true)).toBe("lost");
    expect(quorumValue([], () => 7)).toBe(0);
  });
});
