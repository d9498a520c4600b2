/** The arithmetic of majorities as a table, and what becomes of N members when the network between domains is cut. */
import {
  faultToleranceOf,
  isSupportedMemberCount,
  type Partition,
  partitionsOf,
  quorumOf,
  quorumTable,
  renderQuorumTable,
  spreadOverDomains,
} from "../../../src/spec/quorum-table.ts";
import type { Paint } from "../paint.ts";

export type QuorumFacts = {
  readonly members: number;
  readonly quorum: number;
  readonly faultTolerance: number;
  readonly supported: boolean;
  /** One for each number of failure domains that is looked at. */
  readonly placements: readonly {
    /** Members in each domain. */
    readonly domains: readonly number[];
    readonly survivesAnyDomain: boolean;
    readonly partitions: readonly Partition[];
  }[];
};

/** `domains`: members in each failure domain; without it, spread evenly over two and over three. */
export function quorumFacts(members: number, domains: readonly number[] | null): QuorumFacts {
  const quorum = quorumOf(members);
  const spreads =
    domains === null
      ? [2, 3].filter((count) => count <= members).map((count) => spreadOverDomains(members, count))
      : [domains];
  return {
    members,
    quorum,
    faultTolerance: faultToleranceOf(members),
    supported: isSupportedMemberCount(members),
    placements: spreads.map((spread) => ({
      domains: spread,
      survivesAnyDomain: members - Math.max(...spread) >= quorum,
      partitions: partitionsOf(spread).filter(({ sides }) => sides.length > 1),
    })),
  };
}

export function renderQuorumTableView(members: number | null, paint: Paint): string {
  const [head, ...rows] = renderQuorumTable(quorumTable(Math.max(9, members ?? 0)), members);
  const lines = rows.map((row, index) => (isSupportedMemberCount(index + 1) ? paint.bold(row) : paint.dim(row)));
  return [
    paint.bold(head ?? ""),
    ...lines,
    "",
    "haplan runs 3, 5 or 7: an even number survives no more than one less.",
  ].join("\n");
}

export function renderQuorumFacts(facts: QuorumFacts, paint: Paint): string {
  const sections = facts.placements.map(({ domains, survivesAnyDomain, partitions }) => [
    `${facts.members} members in ${domains.length} failure domains (${domains.join(" + ")})`,
    survivesAnyDomain
      ? paint.green("  any one domain may fail: the others keep quorum")
      : paint.red(
          `  the domain with ${Math.max(...domains)} must not fail: the others have no quorum of ${facts.quorum}`,
        ),
    ...partitions.map((partition) => `  ${cut(partition, facts.quorum, paint)}`),
  ]);
  return sections.map((lines) => lines.join("\n")).join("\n\n");
}

function cut({ sides, survivor }: Partition, quorum: number, paint: Paint): string {
  const name = sides.join("|").padEnd(10);
  if (survivor === null) return `${name} ${paint.red("no quorum")}   no side has ${quorum}: every write stops`;
  return `${name} ${paint.green("quorum")}      the side of ${sides[survivor]} goes on, the rest waits`;
}
