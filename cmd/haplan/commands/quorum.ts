/** `haplan quorum [N]`: the quorum of N members, how many may fail, and which sides of a partition keep a quorum. */

import { quorumTable } from "../../../src/spec/quorum-table.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { refuse } from "../refusal.ts";
import { analyzeQuorum, renderQuorumAnalysis, renderQuorumTableView } from "../views/quorum-view.ts";
import { snakeKeys } from "../views/snake-keys.ts";

const instancesMax = 99;
/** The number of partitions grows with Bell's numbers: 4140 for 8 domains. */
const domainsMax = 8;

type QuorumFlags = { readonly json?: boolean; readonly domains?: string };

export function runQuorum(context: CliContext, argument: string | undefined, flags: QuorumFlags): ExitCode {
  const { terminal } = context;
  const domains = flags.domains === undefined ? null : parseDomains(flags.domains);
  const members =
    argument === undefined ? (domains?.reduce((sum, count) => sum + count, 0) ?? null) : parseCount(argument);
  if (domains !== null && members !== domains.reduce((sum, count) => sum + count, 0)) {
    throw refuse(
      "cli/bad-domains",
      `-domains ${flags.domains} does not add up to ${members}`,
      "Write one number for each domain, such as -domains 2,2,1 for 5 members.",
    );
  }
  const analysis = members === null ? null : analyzeQuorum(members, domains);
  if (flags.json) {
    const table = quorumTable(Math.max(9, members ?? 0));
    terminal.print(
      JSON.stringify({ format_version: "2.0", ...(snakeKeys({ table, ...analysis }) as object) }, null, 2),
    );
    return 0;
  }
  terminal.print(renderQuorumTableView(members, terminal.paint));
  if (analysis !== null && analysis.placements.length > 0)
    terminal.print(`\n${renderQuorumAnalysis(analysis, terminal.paint)}`);
  return 0;
}

function parseCount(text: string): number {
  const members = Number(text);
  if (/^\d+$/.test(text) && members >= 1 && members <= instancesMax) return members;
  throw refuse(
    "cli/bad-count",
    `${text} is not a number of members`,
    `Write a whole number from 1 to ${instancesMax}, such as \`haplan quorum 5\`.`,
  );
}

function parseDomains(text: string): readonly number[] {
  const domains = text.split(",").map((part) => (/^\d+$/.test(part) ? Number(part) : 0));
  const total = domains.reduce((sum, count) => sum + count, 0);
  if (domains.every((count) => count > 0) && domains.length <= domainsMax && total <= instancesMax) return domains;
  throw refuse(
    "cli/bad-domains",
    `-domains ${text} is not a list of domains`,
    `Write the number of members in each domain, for at most ${domainsMax} domains, such as -domains 3,3.`,
  );
}
