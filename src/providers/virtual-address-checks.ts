/**
 * Whether a host's keepalived, of another cluster or of none, has the virtual address of this cluster in its configuration, and
 * whether the address is one that its hosts can have.
 */
import { BlockList, isIP } from "node:net";
import { dataDir } from "../base/host-paths.ts";
import { canonicalAddress } from "../base/ip-address.ts";
import type { HostFacts } from "../host/host-facts.ts";
import { type Finding, type HostsToCheck, labelOf } from "./hosts-to-check.ts";

type KnownHost = Parameters<typeof labelOf>[0] & { readonly facts: Pick<HostFacts, "virtualAddresses"> };

/** Whether keepalived of this cluster is there to have the address: also on a host that neither spec nor state has. */
export function isSetUp(cluster: string, address: string, facts: KnownHost["facts"]): boolean {
  const wanted = canonicalAddress(address);
  return facts.virtualAddresses.some((each) => each.address === wanted && isOf(cluster, each.file));
}

function isOf(cluster: string, file: string): boolean {
  return file.startsWith(`${dataDir}/${cluster}/`);
}

/** What is known of the holder, whether it has the address now or not; null if there is none. */
export function configuredHolder(cluster: string, address: string, hosts: readonly KnownHost[]): string | null {
  const wanted = canonicalAddress(address);
  for (const host of hosts) {
    const found = host.facts.virtualAddresses.find((each) => each.address === wanted && !isOf(cluster, each.file));
    if (found === undefined) continue;
    const [, other] = found.file.startsWith(`${dataDir}/`) ? found.file.slice(dataDir.length).split("/") : [];
    const owner = other === undefined ? found.file : `cluster "${other}"`;
    return `keepalived of ${owner} on ${labelOf(host)}`;
  }
  return null;
}

/** keepalived gives a host any address, but no client finds it there unless it is of the segment that the host is in. */
export function strayAddressFindings({ virtualAddress, hosts }: HostsToCheck): readonly Finding[] {
  if (virtualAddress === undefined) return [];
  const { address, machines } = virtualAddress;
  return hosts
    .filter((host) => host.machines.some(({ name }) => machines.includes(name)))
    .filter(({ facts }) => facts !== null && isStray(address, facts.networks))
    .map((host): Finding => {
      const networks = (host.facts?.networks ?? []).filter((network) => !/^(127\.|::1\/|fe80:)/i.test(network));
      return {
        summary: `The virtual address ${address} is in no network of ${labelOf(host)}`,
        detail: `That host has ${networks.join(", ") || "none"}. Write an address of the network that all hosts of the load balancer are in as loadBalancer.vip, or other hosts as loadBalancer.hosts.`,
      };
    });
}

/** A host whose own address is routed to it alone says nothing of its segment. */
function isStray(address: string, networks: readonly string[]): boolean {
  const known = networks.map(parseNetwork);
  const isRouted = known.some((each) => each.isRouted && each.type === typeOf(address) && each.own !== "::1");
  return known.length > 0 && !isRouted && !known.some((network) => contains(network, address));
}

/** The host's own addresses in those of its networks that `address` is in, without that address itself. */
export function addressesBeside(address: string, networks: readonly string[]): readonly string[] {
  const segments = networks.map(parseNetwork).filter((network) => !network.isRouted && contains(network, address));
  return segments.map(({ own }) => own).filter((own) => canonicalAddress(own) !== canonicalAddress(address));
}

type Network = {
  readonly own: string;
  readonly prefix: number;
  readonly type: "ipv4" | "ipv6";
  /** It is of one address. */
  readonly isRouted: boolean;
};

function typeOf(address: string): Network["type"] {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

function parseNetwork(network: string): Network {
  const [own = "", length = ""] = network.split("/");
  const [prefix, type] = [Number(length), typeOf(own)];
  return { own, prefix, type, isRouted: prefix === (type === "ipv4" ? 32 : 128) };
}

function contains({ own, prefix, type }: Network, address: string): boolean {
  const block = new BlockList();
  block.addSubnet(own, prefix, type);
  return type === typeOf(address) && block.check(address, type);
}
