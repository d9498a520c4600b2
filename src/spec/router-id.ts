import { createHash } from "node:crypto";

/** The virtual router's id, 1 to 255, if the spec does not say one: the same for the same cluster and address. */
export function derivedRouterId(cluster: string, address: string): number {
  const digest = createHash("sha256").update(`${cluster}\0${address}`).digest();
  return (digest.readUInt32BE(0) % 255) + 1;
}
