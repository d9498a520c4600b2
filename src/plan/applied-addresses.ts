/** Addresses of the cluster as it was applied, which an edited spec no longer contains. */
import type { State } from "./state.ts";

/** The clients' endpoint; null before the load balancer was started. */
export function appliedEndpoint(state: State | null): string | null {
  const found = state?.resources.find(({ type }) => type === "haplan_load_balancer")?.attributes["endpoint"];
  return typeof found === "string" ? found : null;
}

/** Client URLs of the voters by name; empty before the first quorum. */
export function appliedClientUrls(state: State | null): readonly string[] {
  return (state?.resources ?? [])
    .filter(({ type, attributes }) => type === "haplan_raft_member" && attributes["role"] === "voter")
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ attributes }) => (typeof attributes["clientUrl"] === "string" ? [attributes["clientUrl"]] : []));
}
