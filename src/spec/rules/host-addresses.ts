/** Addresses that no machine can have, or that other machines could not reach it at. */
import { BlockList, isIP } from "node:net";
import { findingAt, type SpecFinding } from "../finding.ts";
import type { LocatedValue } from "../schema/located.ts";
import type { SpecRule } from "./rule.ts";

export const checkHostAddresses: SpecRule = ({ hosts, loadBalancer }) => {
  const vip = loadBalancer?.entries.vip ?? null;
  return [...hosts.map(({ address }) => address), vip].flatMap((address) => (address === null ? [] : check(address)));
};

function check({ pointer, value }: LocatedValue<string>): readonly SpecFinding[] {
  const fault = faultOf(value);
  if (fault === null) return [];
  const summary = `${JSON.stringify(value)} is ${fault}`;
  const detail = "Write the address at which the other machines reach this one, such as 10.0.0.11 or fd00::11.";
  return [findingAt(pointer, { code: "spec/bad-address", summary, detail })];
}

/** Whether it was to be an IPv4 address: no host name has digits and dots alone. */
export function isMalformed(address: string): boolean {
  return isIP(address) === 0 && /^[\d.]+$/.test(address);
}

/** Null for other host names and addresses. */
function faultOf(address: string): string | null {
  const family = isIP(address);
  if (family === 0) return isMalformed(address) ? "not an IP address" : null;
  if (address.includes("%")) return "an address of one network interface: it means nothing on other machines";
  // A block of IPv6 would hold every address of IPv4, too.
  if (address.startsWith("::ffff:")) return "an IPv4 address in the form of IPv6";
  const type = family === 4 ? "ipv4" : "ipv6";
  return kinds.find(({ block }) => block.check(address, type))?.fault ?? null;
}

const blockOf = (...ranges: readonly [string, number, "ipv4" | "ipv6"][]): BlockList => {
  const block = new BlockList();
  for (const range of ranges) block.addSubnet(...range);
  return block;
};

/** Of the registries of special-purpose addresses (RFC 6890). */
const kinds: readonly { readonly block: BlockList; readonly fault: string }[] = [
  { block: blockOf(["0.0.0.0", 8, "ipv4"], ["::", 128, "ipv6"]), fault: "the address of no machine" },
  { block: blockOf(["224.0.0.0", 3, "ipv4"], ["ff00::", 8, "ipv6"]), fault: "not the address of one machine" },
  { block: blockOf(["fe80::", 10, "ipv6"]), fault: "valid on one link only" },
];
