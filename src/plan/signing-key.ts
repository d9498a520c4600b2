/** The fault of the authority's key, as shared by all messages about it. */
import type { ObservedAuthority } from "./observed-cluster.ts";

/** Call it if the key is not present. */
export function signingKeyFault({
  signingKey,
  directory,
}: Pick<ObservedAuthority, "signingKey" | "directory">): string {
  return signingKey === "missing"
    ? `ca.key is missing in "${directory}"`
    : `ca.key in "${directory}" is not the key of ca.crt`;
}
