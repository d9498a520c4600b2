import { describe, expect, it } from "vitest";
import { parseFacts } from "../../host/parse-facts.ts";
import { type AskedHost, type FoundHolder, findHolder, holderAmong } from "./find-holder.ts";

const address = "10.0.0.100";
const foreign = "02:00:00:00:00:ff";
const macOf = (number: number): string => `02:00:00:00:00:0${number}`;

type Reached = {
  readonly has?: boolean;
  /** What a script prints there: null where the host does not answer any more. */
  readonly prints?: string | null;
  readonly configured?: boolean;
};

/** Hosts 8 and 9 have the load balancers, 1 has a master. */
function reached(number: number, { has = false, prints = "", configured = false }: Reached = {}): AskedHost {
  const lines = [
    ["address", `10.0.0.${number}`],
    ["network", `10.0.0.${number}/24`],
    ["network", "172.17.0.1/16"],
    ["mac", macOf(number)],
    ...(has
      ? [
          ["address", address],
          ["network", `${address}/32`],
        ]
      : []),
    ...(configured ? [["virtual-address", address, "/var/lib/haplan/demo/machines/lb/x"]] : []),
  ];
  return {
    key: String(number),
    host: `h${number}`,
    machines: [number === 1 ? "m1" : `lb${number}`],
    facts: parseFacts(lines.map((line) => line.join("\t")).join("\n")),
    run: async () => prints,
  };
}

const find = (visited: readonly AskedHost[], balancers: readonly number[] = [8, 9]): Promise<FoundHolder> =>
  findHolder({
    cluster: "demo",
    virtualAddress: { address, port: 2379, machines: ["lb8", "lb9"] },
    visited,
    balancers: balancers.map((number) => ({ key: String(number), label: `lb${number} (h${number})` })),
  });

const neighbor = (mac: string): string => `0\t124\t\n${address} dev host0 lladdr ${mac} REACHABLE`;
const answers = (...of: readonly (readonly [string, string])[]): string =>
  ["asked", ...of.map(([each, mac]) => `answer\t${each}\t${mac}`)].join("\n");
const peer = ["10.0.0.9", macOf(9)] as const;
const taken = (holder: string, beside?: string): FoundHolder => ({
  takenAddress: { address, holder, ...(beside === undefined ? {} : { beside }) },
});
const untold = (reason: string): FoundHolder => ({
  untoldAddress: { address, reason: expect.stringContaining(reason) },
});
const unknown = `a machine with the MAC address ${foreign}`;

describe("the holder of a virtual address", () => {
  it.each<[string, readonly AskedHost[], FoundHolder]>([
    ["is none", [reached(8), reached(9)], {}],
    ["is a machine of no cluster", [reached(8, { prints: neighbor(foreign) }), reached(9)], taken(unknown)],
    ["answers from beyond a router", [reached(8, { prints: "0\t0\t" }), reached(9)], taken("a machine that answers")],
    ["is a load balancer that has got it meanwhile", [reached(8, { prints: neighbor(macOf(9)) }), reached(9)], {}],
    ["is a master's host", [reached(8, { prints: neighbor(macOf(1)) }), reached(9), reached(1)], taken("m1 (h1)")],
    ["was a master's host when it was visited", [reached(8), reached(9), reached(1, { has: true })], taken("m1 (h1)")],
    [
      "is not asked for where the host is lost",
      [reached(8, { prints: null }), reached(9)],
      untold("h8 does not answer"),
    ],
    ["may be a load balancer that was not reached", [reached(8, { prints: neighbor(foreign) })], untold("lb9 (h9)")],
  ])("%s", async (_, visited, found) => {
    expect(await find(visited)).toEqual(found);
  });
});

describe("a second holder beside a load balancer", () => {
  const lb8 = (prints: string | null): AskedHost => reached(8, { has: true, prints });
  const both = answers(peer, [address, foreign]);
  it.each<[string, readonly AskedHost[], FoundHolder]>([
    ["is there", [lb8(both), reached(9)], taken(unknown, "lb8 (h8)")],
    ["is there where no peer answers", [lb8(answers([address, foreign])), reached(9)], taken(unknown, "lb8 (h8)")],
    ["is not there", [lb8(answers(peer)), reached(9)], {}],
    ["is a master's host", [lb8(answers(peer)), reached(9), reached(1, { has: true })], taken("m1 (h1)", "lb8 (h8)")],
    ["is another load balancer", [lb8(answers(peer, [address, macOf(9)])), reached(9, { has: true })], {}],
    [
      "is there beside two load balancers",
      [lb8(answers(peer, [address, macOf(9)], [address, foreign])), reached(9, { has: true })],
      taken(unknown, "lb8 (h8)"),
    ],
    [
      "is not told from a proxy, which answers for the host's own address as well",
      [lb8(answers(peer, [address, foreign], ["10.0.0.8", foreign])), reached(9)],
      untold("may do so for any address"),
    ],
    ["cannot be told where no peer answers", [lb8(answers()), reached(9)], untold("got no answer")],
    ["cannot be told without perl", [lb8(""), reached(9)], untold("root, and perl")],
    ["cannot be told where the host is lost", [lb8(null), reached(9)], untold("h8 does not answer")],
    ["may be a load balancer that was not reached", [lb8(both)], untold("lb9 (h9)")],
  ])("%s", async (_, visited, found) => {
    expect(await find(visited)).toEqual(found);
  });

  it("is told with a lost state, where a host of the former load balancers has the address", async () => {
    const former = reached(7, { has: true, configured: true, prints: answers(peer, [address, foreign]) });
    expect(await find([reached(8), reached(9), former])).toEqual(taken(unknown, "lb7 (h7)"));
    const alone = reached(7, { has: true, configured: true, prints: answers(peer) });
    expect(await find([reached(8), reached(9), alone])).toEqual({});
  });

  it("is not told apart from a proxy without an address that shows one", () => {
    const asked = { address, label: "lb8 (h8)", own: [], peers: ["10.0.0.9"], known: new Set<string>() };
    const found = holderAmong(new Map([[address, [foreign]]]), asked);
    expect(found).toMatchObject({ reason: expect.stringContaining(foreign) });
  });
});
