/** What was found out about the connections that a cluster needs. Pure. */
import type { Severity } from "../base/diagnostic.ts";
import { groupBy } from "../base/group-by.ts";
import { familyOf } from "../base/ip-address.ts";
import { hostPort } from "../units/addresses.ts";
import type { Finding, PathOutcome, TriedPath } from "./hosts-to-check.ts";
import type { NetworkPath } from "./provider.ts";

const blocked: { readonly [outcome in PathOutcome]?: string } = {
  refused: "the connection is refused",
  rejected: "the network rejects the connection",
  noAnswer: "no answer within 3 s",
  unknownName: "the name does not resolve",
};

/** One finding for each port that is out of reach, whatever the number of machines that it is out of reach for. */
export function networkFindings(paths: readonly TriedPath[], severity: Severity): readonly Finding[] {
  const failed = paths.filter((path) => path.severity === severity && blocked[path.outcome] !== undefined);
  const groups = groupBy(failed, ({ to, address, port, outcome }) => `${outcome} ${to} ${hostPort(address, port)}`);
  return [...groups.values()].map((group) => {
    const { to, address, port, outcome } = group[0]!;
    const without = group.filter(({ lacksFamily }) => lacksFamily === true).map(senderOf);
    const family =
      without.length === 0
        ? ""
        : `${listOf(without)} ${without.length === 1 ? "has" : "have"} no ${familyOf(address)} address. `;
    return {
      summary: `${to} cannot be reached at ${hostPort(address, port)} from ${listOf(group.map(senderOf))}: ${blocked[outcome]}`,
      detail: `${family}${adviceFor(outcome, { to, address, port })}`,
    };
  });
}

/** What the checks cannot tell is told. */
export function untriedFindings(paths: readonly TriedPath[]): readonly Finding[] {
  const untried = paths.filter(({ outcome }) => outcome === "untried");
  if (untried.length === 0) return [];
  const lines = untried.map(
    ({ from, to, address, port }) => `  ${from ?? "this machine"} to ${to} at ${hostPort(address, port)}`,
  );
  return [
    {
      summary: `${untried.length === 1 ? "A connection was" : `${untried.length} connections were`} not tried`,
      detail: [
        "The hosts need bash and systemd-socket-activate, and haplan has to be root there, to try them before there is a cluster.",
        ...lines,
      ].join("\n"),
    },
  ];
}

function adviceFor(outcome: PathOutcome, { to, address, port }: Pick<NetworkPath, "to" | "address" | "port">): string {
  switch (outcome) {
    case "unknownName":
      return `Members reach each other by the addresses in the spec: make ${address} known to the resolver there, or write an IP address.`;
    case "refused":
    case "rejected":
      return `If ${to} has a member that should listen there, look at its log. Otherwise something listens there during this check: a firewall on ${to}, or between the hosts, rejects it. Allow TCP port ${port} to ${address}.`;
    default:
      return `A firewall on ${to}, or between the hosts, drops it, or there is no route. Allow TCP port ${port} to ${address}.`;
  }
}

function senderOf({ from }: NetworkPath): string {
  return from ?? "this machine";
}

function listOf(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
