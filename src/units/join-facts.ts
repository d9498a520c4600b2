import type { Json } from "../base/json.ts";

/** What an agent starts with; etcd's `--initial-cluster` and `--initial-cluster-state`. */
export type JoinFacts = {
  readonly clusterState: "new" | "existing";
  readonly initialCluster: readonly { readonly name: string; readonly peerUrl: string }[];
};

/** Whether a value that was read, from a state or a journal, is what an agent starts with. */
export function isJoinFacts(value: Json | undefined): value is JoinFacts & Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) && "initialCluster" in value;
}
