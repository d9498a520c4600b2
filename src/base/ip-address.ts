/** The text of IP addresses. Pure. */
import { isIP } from "node:net";

/** As RFC 5952 writes it: equal for all spellings of an IPv6 address; anything else is returned as it is. */
export function canonicalAddress(address: string): string {
  if (!address.includes(":")) return address;
  const url = `http://[${address}]`;
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address;
}

export type AddressFamily = "IPv4" | "IPv6";

/** Null for a name. */
export function familyOf(address: string): AddressFamily | null {
  const family = isIP(address);
  return family === 0 ? null : family === 4 ? "IPv4" : "IPv6";
}

/** The name or address in a URL, which has IPv6 addresses in brackets; addresses are canonical. */
export function urlHost(url: URL | string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
}
