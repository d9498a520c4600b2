import type { Json } from "../base/json.ts";

/** The initial flags of an agent: etcd's `--initial-cluster` and `--initial-cluster-state`. */
export type InitialCluster = {
  readonly clusterState: "new" | "existing";
  readonly initialCluster: readonly { readonly name: string; readonly peerUrl: string }[];
};

/** Reports whether a value from a state or a journal has this type. */
export function isInitialCluster(value: Json | undefined): value is InitialCluster & Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) && "initialCluster" in value;
}
