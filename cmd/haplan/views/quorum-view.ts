/** Majority arithmetic as a table, and the effect of a network partition between domains on N members. */
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

export type QuorumAnalysis = {
  readonly members: number;
  readonly quorum: number;
  readonly faultTolerance: number;
  readonly supported: boolean;
  /** One for each number of failure domains shown. */
  readonly placements: readonly {
    /** Members in each domain. */
    readonly domains: readonly number[];
    readonly survivesAnyDomain: boolean;
    readonly partitions: readonly Partition[];
  }[];
};

/** `domains`: members in each failure domain; by default spread evenly over two and over three. */
export function analyzeQuorum(members: number, domains: readonly number[] | null): QuorumAnalysis {
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
    "haplan runs 3, 5 or 7: an even number tolerates no more failures than one member less.",
  ].join("\n");
}

export function renderQuorumAnalysis(analysis: QuorumAnalysis, paint: Paint): string {
  const sections = analysis.placements.map(({ domains, survivesAnyDomain, partitions }) => [
    `${analysis.members} members in ${domains.length} failure domains (${domains.join(" + ")})`,
    survivesAnyDomain
      ? paint.green("  any one domain may fail: the others keep quorum")
      : paint.red(
          `  the domain with ${Math.max(...domains)} must not fail: the others have no quorum of ${analysis.quorum}`,
        ),
    ...partitions.map((partition) => `  ${cut(partition, analysis.quorum, paint)}`),
  ]);
  return sections.map((lines) => lines.join("\n")).join("\n\n");
}

function cut({ sides, survivor }: Partition, quorum: number, paint: Paint): string {
  const name = sides.join("|").padEnd(10);
  if (survivor === null) return `${name} ${paint.red("no quorum")}   no side has ${quorum}: every write stops`;
  return `${name} ${paint.green("quorum")}      the side of ${sides[survivor]} continues, the rest waits`;
}
