/** IP addresses as people write them, and as the kernel's tables of sockets have them. Pure. */
import { canonicalAddress } from "../base/ip-address.ts";

/** As in /proc/net/tcp: words of 32 bits, each in the byte order of x86 and arm64. Null for all addresses. */
export function decodeSocketAddress(hex: string): string | null {
  if (/^0+$/.test(hex)) return null;
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, "hex")].reverse());
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at]! << 8) | bytes[2 * at + 1]!).toString(16));
  return mappedAddress(canonicalAddress(groups.join(":")));
}

/** An IPv4 address that is listened on by a socket of IPv6. */
function mappedAddress(address: string): string {
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(address) ?? [];
  if (high === undefined || low === undefined) return address;
  const value = Number.parseInt(high, 16) * 0x1_0000 + Number.parseInt(low, 16);
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
}

/** The reverse, of an IP address; null for a text that is none. */
export function encodeSocketAddress(address: string): string | null {
  const bytes = address.includes(":") ? bytesOfIpv6(address) : address.split(".").map(Number);
  if (bytes === null || ![4, 16].includes(bytes.length) || bytes.some((byte) => !(byte >= 0 && byte <= 255)))
    return null;
  const hex = Buffer.from(bytes).toString("hex").toUpperCase();
  return (hex.match(/.{8}/g) ?? []).map((word) => (word.match(/../g) ?? []).reverse().join("")).join("");
}

function bytesOfIpv6(address: string): number[] | null {
  const [head = "", tail, ...more] = canonicalAddress(address).split("::");
  if (more.length > 0) return null;
  const groupsOf = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const [before, after] = [groupsOf(head), groupsOf(tail ?? "")];
  const missing = 8 - before.length - after.length;
  if (missing < 0 || (tail === undefined && missing > 0)) return null;
  const groups = [...before, ...Array<string>(missing).fill("0"), ...after].map((group) => Number.parseInt(group, 16));
  return groups.flatMap((group) => [group >> 8, group & 0xff]);
}
