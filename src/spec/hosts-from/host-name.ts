/** The name of a host that has only an address. It follows from the address alone, so the order of a list does not matter. */
import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { canonicalAddress } from "../../base/ip-address.ts";

const labelLengthMax = 63;
const digestLength = 8;

/** `ip-10-0-0-1` for an IP address, as EC2 names hosts; `m1-example-com` for a host name. */
export function nameOfAddress(address: string): string {
  const version = isIP(address);
  const plain = canonicalAddress(address).toLowerCase();
  const label = plain.replace(/[^a-z0-9]/g, "-").replace(/^-+|-+$/g, "");
  const name = version === 0 ? label : `ip-${label}`;
  if (name.length <= labelLengthMax) return name;
  const digest = createHash("sha256").update(plain).digest("hex").slice(0, digestLength);
  return `${name.slice(0, labelLengthMax - digestLength - 1)}-${digest}`;
}
