/** The hosts of load balancers: exactly one of `address` and `hosts`, and a virtual address that no host has. */
import { isIP } from "node:net";
import type { HostDraft, LocatedPart, SpecDraft } from "../draft.ts";
import { findingAt, formatPointer, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import { isMalformed } from "./host-addresses.ts";
import { memberPorts } from "./member-ports.ts";
import type { SpecRule } from "./rule.ts";

type LoadBalancer = LocatedPart<"loadBalancer">;

export const checkLoadBalancerHosts: SpecRule = (draft) => {
  const { loadBalancer } = draft;
  if (loadBalancer === null) return [];
  const { written } = loadBalancer;
  if (!written.includes("hosts")) return [...checkAddress(loadBalancer), ...checkWithoutHosts(loadBalancer)];
  const both = written.includes("address") ? [bothWritten(loadBalancer.entries.address ?? loadBalancer)] : [];
  if (!draft.hasBalancerHosts) return [...both, notWithProvider(loadBalancer)];
  const hosts = balancerHosts(draft);
  return [
    ...both,
    ...hosts.flatMap((host) => (host.address === null && host.name !== null ? [withoutAddress(host.name)] : [])),
    ...checkHostsOnce(hosts),
    ...checkVirtual(loadBalancer, hosts, draft),
    ...checkPorts(draft, hosts),
  ];
};

type BalancerHost = {
  readonly name: LocatedValue<string> | null;
  /** Of its own, or that of the master or worker; null if it has none. */
  readonly address: LocatedValue<string> | null;
  /** The master that it shares the host with. */
  readonly master: HostDraft | null;
};

function balancerHosts({ loadBalancer, hosts }: SpecDraft): readonly BalancerHost[] {
  const others = hosts.filter(({ kind }) => kind === "master" || kind === "worker");
  return (loadBalancer?.entries.hosts?.items ?? []).flatMap((item): readonly BalancerHost[] => {
    if (item === null) return [];
    const { name, address: own } = item.entries;
    const named =
      own === null ? others.find((each) => each.name !== null && each.name.value === name?.value) : undefined;
    const address =
      own ?? (named?.address != null && name !== null ? { ...named.address, pointer: name.pointer } : null);
    const there = others.find((each) => each.address !== null && each.address.value === address?.value);
    return [{ name, address, master: there?.kind === "master" ? there : null }];
  });
}

function checkAddress({ pointer, entries, written }: LoadBalancer): readonly SpecFinding[] {
  if (entries.address !== null || written.includes("address")) return [];
  return [
    {
      place: { pointer, part: "key" },
      code: "spec/missing-key",
      summary: `${formatPointer(pointer)} has neither "address" nor "hosts"`,
      detail:
        "Add `address: 10.0.0.10`, the address of one load balancer, or `hosts:`, a list of hosts that share a virtual address.",
    },
  ];
}

function checkWithoutHosts({ entries }: LoadBalancer): readonly SpecFinding[] {
  const keys = { vip: entries.vip, interface: entries.interface, routerId: entries.routerId };
  return Object.entries(keys).flatMap(([key, value]) => {
    if (value === null) return [];
    const summary = `${key} is for several load balancers, but there are no hosts`;
    const detail = "Write `hosts:`, a list of the hosts that share the virtual address, instead of `address`.";
    return [findingAt(value.pointer, { code: "spec/vip-without-hosts", summary, detail })];
  });
}

function bothWritten({ pointer }: { readonly pointer: string }): SpecFinding {
  return findingAt(pointer, {
    code: "spec/address-and-hosts",
    summary: "The load balancer has both an address and hosts",
    detail: "Write `address` for one load balancer on a machine of its own, or `hosts`, and `vip` for two or more.",
  });
}

function notWithProvider({ entries, pointer }: LoadBalancer): SpecFinding {
  return findingAt(entries.hosts?.pointer ?? pointer, {
    code: "spec/no-balancer-hosts",
    summary: "This provider has one load balancer",
    detail:
      "Write `address` instead of `hosts`. A virtual address needs hosts of their own: `provider: { type: ssh }`.",
  });
}

function withoutAddress({ pointer, value }: LocatedValue<string>): SpecFinding {
  return findingAt(pointer, {
    code: "spec/unknown-host",
    summary: `"${value}" is no master and no worker, and has no address`,
    detail: "Write the name of a master or worker of this spec, or an `address` beside the name.",
  });
}

/** Two load balancers on one host would listen at the same address. */
function checkHostsOnce(hosts: readonly BalancerHost[]): readonly SpecFinding[] {
  const taken = new Map<string, string>();
  return hosts.flatMap(({ name, address }) => {
    if (address === null) return [];
    const other = taken.get(address.value);
    taken.set(address.value, other ?? name?.value ?? address.value);
    if (other === undefined) return [];
    const summary = `${name?.value ?? address.value} is the host of ${other}, at ${address.value}`;
    const detail = "A host has one load balancer of a cluster: remove one of the two.";
    return [findingAt(address.pointer, { code: "spec/duplicate-address", summary, detail })];
  });
}

function checkVirtual(
  { entries, pointer }: LoadBalancer,
  hosts: readonly BalancerHost[],
  draft: SpecDraft,
): readonly SpecFinding[] {
  const { vip } = entries;
  if (vip === null) {
    if (hosts.length < 2) return checkUnused(entries);
    const summary = `${hosts.length} load balancers have no virtual address`;
    const detail =
      "Add `vip: 10.0.0.100`, an unused address of their network: clients connect to it, whichever host has it.";
    return [findingAt(entries.hosts?.pointer ?? pointer, { code: "spec/hosts-without-vip", summary, detail })];
  }
  if (isIP(vip.value) === 0) {
    const summary = `${JSON.stringify(vip.value)} is not an IP address`;
    const detail = "Write an address without port or prefix length, such as 10.0.0.100 or fd00::100.";
    return [findingAt(vip.pointer, { code: "spec/bad-address", summary, detail })];
  }
  return [
    ...draft.hosts
      .flatMap(({ kind, address }) => (address?.value === vip.value ? [hostHas(vip, kind)] : []))
      .slice(0, 1),
    ...hosts.flatMap(({ address }) => (address === null ? [] : checkFamily(address, vip))),
  ];
}

function checkUnused({ interface: device, routerId }: LoadBalancer["entries"]): readonly SpecFinding[] {
  return [device, routerId].flatMap((value) => {
    if (value === null) return [];
    const summary = "There is no virtual address";
    const detail = "`interface` and `routerId` are of the virtual address: add `vip`, or remove them.";
    return [findingAt(value.pointer, { code: "spec/vip-without-hosts", summary, detail })];
  });
}

function hostHas({ pointer, value }: LocatedValue<string>, kind: HostDraft["kind"]): SpecFinding {
  return findingAt(pointer, {
    code: "spec/vip-in-use",
    summary: `The virtual address ${value} is the address of a ${kind}`,
    detail:
      "It moves between the load balancers, so no host may have it by itself. Write an unused address of their network.",
  });
}

/** VRRP's messages and the address that they are about are of one family. */
function checkFamily({ pointer, value }: LocatedValue<string>, vip: LocatedValue<string>): readonly SpecFinding[] {
  // Reported where it is written.
  if (isMalformed(value)) return [];
  const family = isIP(value);
  if (family === isIP(vip.value)) return [];
  const summary =
    family === 0
      ? `${JSON.stringify(value)} is a host name: a load balancer with a virtual address needs an IP address`
      : `The virtual address ${vip.value} is IPv${isIP(vip.value)}, and ${value} is IPv${family}`;
  const detail = "keepalived's messages go from address to address, of the same family as the virtual address.";
  return [findingAt(pointer, { code: "spec/bad-address", summary, detail })];
}

function isHostName(address: string): boolean {
  return isIP(address) === 0 && !isMalformed(address);
}

/** A master that listens at all addresses of its host, or at the load balancer's own, leaves no port of the same number. */
function checkPorts({ loadBalancer, controlPlane }: SpecDraft, hosts: readonly BalancerHost[]): readonly SpecFinding[] {
  if (loadBalancer === null || controlPlane === null) return [];
  const { clientPort } = controlPlane.entries;
  const listed = loadBalancer.entries.ports?.items.filter((port) => port !== null) ?? [];
  const ports = listed.length > 0 ? listed : [{ ...clientPort, pointer: loadBalancer.entries.hosts?.pointer ?? "" }];
  const byMasters = new Map(memberPorts(controlPlane).map(({ value, use }) => [value, use]));
  // Several have one in the end.
  const isVirtual = loadBalancer.entries.vip !== null || hosts.length > 1;
  const shared = hosts.find(({ master }) => master !== null && (!isVirtual || isHostName(master.address?.value ?? "")));
  if (shared === undefined) return [];
  return ports.flatMap(({ pointer, value }) => {
    const use = byMasters.get(value);
    if (use === undefined) return [];
    const summary = `Master ${shared.master?.name?.value} listens for ${use} on port ${value} of the same host`;
    const detail =
      "Write another port under loadBalancer.ports, such as 12379, or put the load balancer on another host.";
    return [findingAt(pointer, { code: "spec/duplicate-port", summary, detail })];
  });
}
