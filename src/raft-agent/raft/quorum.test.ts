import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Electorate, majorityOf, quorumValue, tallyVotes } from "./quorum.ts";

/** Every subset of the members, each as the set of those that agree. */
function subsetsOf(members: readonly string[]): ReadonlySet<string>[] {
  const count = 2 ** members.length;
  return Array.from({ length: count }, (_, bits) => new Set(members.filter((_, i) => (bits >> i) & 1)));
}

/** The definition itself: more than half of each group is in the set. */
function isQuorum(electorate: Electorate, agreeing: ReadonlySet<string>): boolean {
  return electorate.every((group) => group.filter((member) => agreeing.has(member)).length * 2 > group.length);
}

/** All electorates of up to five incoming and five outgoing voters that share any number of members. */
function allElectorates(): Electorate[] {
  const electorates: Electorate[] = [];
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

const electorates = allElectorates();

describe("quorum", () => {
  it("majority is the least number that two disjoint halves of a group cannot both reach", () => {
    for (let size = 1; size <= 9; size += 1) {
      expect(majorityOf(size) * 2).toBeGreaterThan(size);
      expect((majorityOf(size) - 1) * 2).toBeLessThanOrEqual(size);
    }
  });

  it("tally agrees with the definition for every vote in every electorate up to 5+5", () => {
    for (const electorate of electorates) {
      const members = [...new Set(electorate.flat())];
      for (const granted of subsetsOf(members)) {
        const won = isQuorum(electorate, granted);
        expect(tallyVotes(electorate, (member) => granted.has(member))).toBe(won ? "won" : "lost");
        // The same yes votes with everybody else undecided can never be lost.
        const open = tallyVotes(electorate, (member) => (granted.has(member) ? true : undefined));
        expect(open).toBe(won ? "won" : "pending");
        // And the same no votes are lost exactly when not even all others together are a quorum.
        const others = new Set(members.filter((member) => !granted.has(member)));
        const refused = tallyVotes(electorate, (member) => (granted.has(member) ? false : undefined));
        expect(refused).toBe(isQuorum(electorate, others) ? "pending" : "lost");
      }
    }
  });

  it("value is the largest one that a quorum has reached, in every electorate up to 5+5", () => {
    const values = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 10, maxLength: 10 });
    const indexed = fc.record({ at: fc.nat(electorates.length - 1), values });
    fc.assert(
      fc.property(indexed, ({ at, values }) => {
        const electorate = electorates[at] ?? [];
        const heldBy = (member: string): number => values[Number(member.slice(1))] ?? 0;
        const reached = (value: number): boolean =>
          isQuorum(electorate, new Set(electorate.flat().filter((member) => heldBy(member) >= value)));
        const expected = Math.max(0, ...values.filter(reached));
        expect(quorumValue(electorate, heldBy)).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it("an empty electorate elects nobody and commits nothing", () => {
    expect(tallyVotes([], () => true)).toBe("lost");
    expect(quorumValue([], () => 7)).toBe(0);
  });
});
