/**
 * Majority arithmetic: how many of N voters must agree, and how many may be lost. Used by diagnostics, by `haplan
 * quorum` and wherever a number of members is checked (Ongaro and Ousterhout, "In Search of an Understandable Consensus
 * Algorithm", 2014, §5.1).
 */
import { majorityOf } from "../base/majority.ts";

/** The smallest majority of `voters`; 0 without voters. */
export function quorumOf(voters: number): number {
  return voters === 0 ? 0 : majorityOf(voters);
}

/** How many of `voters` may be lost while the others are still a majority. */
export function faultToleranceOf(voters: number): number {
  return voters - quorumOf(voters);
}

export type QuorumTableRow = {
  readonly instances: number;
  readonly quorum: number;
  readonly faultTolerance: number;
  /** Whether haplan runs this many: odd, at least 3, at most 7. */
  readonly supported: boolean;
};

export const membersMin = 3;
export const membersMax = 7;

export function isSupportedMemberCount(members: number): boolean {
  return Number.isInteger(members) && members % 2 === 1 && members >= membersMin && members <= membersMax;
}

/** One row for each number of instances from 1 to `instancesMax`. */
export function quorumTable(instancesMax: number): readonly QuorumTableRow[] {
  return Array.from({ length: instancesMax }, (_, index) => {
    const instances = index + 1;
    return {
      instances,
      quorum: quorumOf(instances),
      faultTolerance: faultToleranceOf(instances),
      supported: isSupportedMemberCount(instances),
    };
  });
}

/** The table as lines of text; the row of `marked` instances gets an arrow. */
export function renderQuorumTable(rows: readonly QuorumTableRow[], marked: number | null): readonly string[] {
  const cell = (value: number | string, width: number): string => String(value).padStart(width);
  const line = (row: QuorumTableRow): string => {
    const remark = row.instances === marked ? "   <- this one" : "";
    return `${cell(row.instances, 9)}${cell(row.quorum, 8)}${cell(row.faultTolerance, 17)}${remark}`;
  };
  return [`${cell("instances", 9)}${cell("quorum", 8)}${cell("fault tolerance", 17)}`, ...rows.map(line)];
}

/** One partition of the members, as the number of voters on each side, largest first. */
export type Partition = {
  readonly sides: readonly number[];
  /** Index into `sides` of the side that keeps the quorum, or null if every side stops. */
  readonly survivor: number | null;
};

/**
 * All partitions of a network between failure domains. `domains` has the number of voters in each; voters of one domain
 * stay together. Partitions with the same numbers are listed once.
 */
export function partitionsOf(domains: readonly number[]): readonly Partition[] {
  const quorum = quorumOf(domains.reduce((sum, voters) => sum + voters, 0));
  const seen = new Map<string, Partition>();
  const place = (index: number, sides: readonly number[]): void => {
    const voters = domains[index];
    if (voters === undefined) {
      const sorted = sides.toSorted((left, right) => right - left);
      const survivor = sorted.findIndex((side) => side >= quorum);
      seen.set(sorted.join("|"), { sides: sorted, survivor: survivor === -1 ? null : survivor });
      return;
    }
    for (let side = 0; side < sides.length; side++) {
      place(index + 1, sides.with(side, (sides[side] ?? 0) + voters));
    }
    place(index + 1, [...sides, voters]);
  };
  place(0, []);
  return [...seen.values()].toSorted(comparePartitions);
}

function comparePartitions(left: Partition, right: Partition): number {
  if (left.sides.length !== right.sides.length) return left.sides.length - right.sides.length;
  for (const [index, side] of left.sides.entries()) {
    const difference = (right.sides[index] ?? 0) - side;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Spreads `members` over `domains` as evenly as possible, fullest first. */
export function spreadOverDomains(members: number, domains: number): readonly number[] {
  const base = Math.floor(members / domains);
  return Array.from({ length: domains }, (_, index) => base + (index < members % domains ? 1 : 0));
}
