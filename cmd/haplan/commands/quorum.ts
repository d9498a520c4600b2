/** `haplan quorum [N]`: how many of N must agree, how many may fail, and what a cut network leaves. */

import { quorumTable } from "../../../src/spec/quorum-table.ts";
import type { CliContext, ExitCode } from "../cli-context.ts";
import { refuse } from "../refusal.ts";
import { quorumFacts, renderQuorumFacts, renderQuorumTableView } from "../views/quorum-view.ts";
import { snakeKeys } from "../views/snake-keys.ts";

const instancesMax = 99;
/** The number of ways to cut domains apart grows with Bell's numbers: 4140 for 8. */
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
  const facts = members === null ? null : quorumFacts(members, domains);
  if (flags.json) {
    const table = quorumTable(Math.max(9, members ?? 0));
    terminal.print(JSON.stringify({ format_version: "2.0", ...(snakeKeys({ table, ...facts }) as object) }, null, 2));
    return 0;
  }
  terminal.print(renderQuorumTableView(members, terminal.paint));
  if (facts !== null && facts.placements.length > 0) terminal.print(`\n${renderQuorumFacts(facts, terminal.paint)}`);
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
    `Write the members of each domain, at most ${domainsMax} of them, such as -domains 3,3.`,
  );
}
