/** What is wrong with the authority's key, in the words of every message about it. */
import type { ObservedAuthority } from "./observed-cluster.ts";

/** To be asked when the key is not present. */
export function signingKeyFault({
  signingKey,
  directory,
}: Pick<ObservedAuthority, "signingKey" | "directory">): string {
  return signingKey === "missing"
    ? `ca.key is missing in "${directory}"`
    : `ca.key in "${directory}" is not the key of ca.crt`;
}
