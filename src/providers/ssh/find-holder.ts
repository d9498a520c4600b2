/** Which machine has the virtual address that load balancers share, beside them or instead of them. */
import { canonicalAddress } from "../../base/ip-address.ts";
import type { HostFacts } from "../../host/host-facts.ts";
import { hasAddress } from "../host-checks.ts";
import { labelOf, type TakenAddress, type UntoldAddress } from "../hosts-to-check.ts";
import type { VirtualAddress } from "../provider.ts";
import { addressesBeside, configuredHolder, isSetUp } from "../virtual-address-checks.ts";
import { answersScript, type NeighborAnswers, parseAnswers } from "./neighbor-answers.ts";
import { describeHolder, holderScript, parseHolder } from "./network-scripts.ts";

export type AskedHost = {
  /** Of its `KnownHost`. */
  readonly key: string;
  readonly host: string;
  readonly machines: readonly string[];
  readonly facts: HostFacts;
  /** Runs a script there; null if the host does not answer any more. @throws what ends the command */
  readonly run: (script: string) => Promise<string | null>;
};

export type HolderSearch = {
  readonly cluster: string;
  readonly virtualAddress: VirtualAddress;
  /** Every host that was reached. */
  readonly visited: readonly AskedHost[];
  /** The hosts of the load balancers that share the address, or did, reached or not. */
  readonly balancers: readonly { readonly key: string; readonly label: string }[];
};

export type FoundHolder = { readonly takenAddress?: TakenAddress; readonly untoldAddress?: UntoldAddress };

/**
 * Asks from one load balancer: routers answer for addresses of other networks. Where one of them has the address, it asks whether
 * another machine has it as well. A load balancer may have it, as it should: nothing is told while one of them was not reached.
 */
export async function findHolder(search: HolderSearch): Promise<FoundHolder> {
  const { cluster, visited, balancers } = search;
  const { address } = search.virtualAddress;
  // Also where it has the address on the hosts of this cluster's own load balancers.
  const configured = configuredHolder(cluster, address, visited.map(labeled));
  if (configured !== null) return { takenAddress: { address, holder: configured } };
  const keys = new Set(balancers.map(({ key }) => key));
  const isBalancer = ({ key, facts }: AskedHost): boolean => keys.has(key) || isSetUp(cluster, address, facts);
  const holders = visited.filter(({ facts }) => hasAddress(facts, address));
  const holder = holders.find(isBalancer);
  const beside = holder === undefined ? {} : { beside: labelOf(labeled(holder)) };
  const other = holders.find((each) => !isBalancer(each));
  if (other !== undefined) return { takenAddress: { address, holder: labelOf(labeled(other)), ...beside } };
  const unknown = balancers.filter(({ key }) => visited.every((each) => each.key !== key)).map(({ label }) => label);
  const untold = (reason: string): FoundHolder => ({ untoldAddress: { address, reason } });
  if (unknown.length > 0) return untold(`A load balancer may have it that was not reached: ${unknown.join(", ")}.`);
  const found = holder === undefined ? await instead(search, isBalancer) : await asWell(search, holder);
  if (found === null) return {};
  if ("reason" in found) return untold(found.reason);
  const owner = visited.find(({ facts }) => found.mac !== null && facts.macs.includes(found.mac));
  // It has moved meanwhile.
  if (owner !== undefined && isBalancer(owner)) return {};
  const named = owner === undefined ? describeHolder(found) : labelOf(labeled(owner));
  return { takenAddress: { address, holder: named, ...beside } };
}

type Answer = { readonly mac: string | null } | { readonly reason: string };

/** Asks for an address that no host has. */
async function instead(
  { virtualAddress, visited }: HolderSearch,
  isBalancer: (host: AskedHost) => boolean,
): Promise<Answer | null> {
  const asked = visited.find(isBalancer);
  if (asked === undefined) return null;
  const printed = await asked.run(holderScript(virtualAddress));
  return printed === null ? lost(asked) : parseHolder(printed);
}

/** Asks for an address that this host has. */
async function asWell({ virtualAddress, visited }: HolderSearch, holder: AskedHost): Promise<Answer | null> {
  const { address } = virtualAddress;
  const own = addressesBeside(address, holder.facts.networks);
  const others = visited.filter((each) => each !== holder);
  const peers = others.flatMap(({ facts }) => addressesBeside(address, facts.networks));
  const known = new Set(others.flatMap(({ facts }) => facts.macs));
  const printed = await holder.run(answersScript(address, [...own, ...peers]));
  if (printed === null) return lost(holder);
  const answers = parseAnswers(printed);
  const label = labelOf(labeled(holder));
  return answers === null
    ? { reason: `${label}, which has it, could not ask its network: that needs root, and perl.` }
    : holderAmong(answers, { address, label, own, peers, known });
}

type Asked = {
  readonly address: string;
  /** Of the host that asked. */
  readonly label: string;
  readonly own: readonly string[];
  /** Addresses of other hosts that were reached, and their MAC addresses. */
  readonly peers: readonly string[];
  readonly known: ReadonlySet<string>;
};

/** What the answers say: of a machine that is none of these hosts, if there is one. Null if there is none. */
export function holderAmong(answers: NeighborAnswers, { address, label, own, peers, known }: Asked): Answer | null {
  const answered = (each: string): readonly string[] => answers.get(canonicalAddress(each)) ?? [];
  const proxies = new Set(own.flatMap(answered));
  const unknown = answered(address).filter((mac) => !known.has(mac));
  const mac = unknown.find((each) => !proxies.has(each));
  if (mac !== undefined && own.length > 0) return { mac };
  if (unknown.length > 0)
    return {
      reason: `A machine with the MAC address ${unknown[0]} answers ${label} for it, and may do so for any address.`,
    };
  if (peers.flatMap(answered).length === 0)
    return { reason: `${label}, which has it, got no answer from any other host in its network.` };
  return null;
}

function lost({ host }: AskedHost): Answer {
  return { reason: `${host} does not answer any more.` };
}

function labeled({ host, machines, facts }: AskedHost): Parameters<typeof labelOf>[0] & Pick<AskedHost, "facts"> {
  return { host, machines: machines.map((name) => ({ name })), facts };
}
