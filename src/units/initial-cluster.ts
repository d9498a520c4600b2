import type { Json } from "../base/json.ts";
import { flagIn } from "./flag-in.ts";

/** The initial flags of an agent: etcd's `--initial-cluster` and `--initial-cluster-state`. */
export type InitialCluster = {
  readonly clusterState: "new" | "existing";
  readonly initialCluster: readonly { readonly name: string; readonly peerUrl: string }[];
};

/** Reports whether a value from a state or a journal has this type. */
export function isInitialCluster(value: Json | undefined): value is InitialCluster & Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) && "initialCluster" in value;
}

/** Of the arguments that an agent was started with; null if they have none. */
export function initialClusterIn(given: readonly string[]): InitialCluster | null {
  const members = flagIn(given, "initial-cluster");
  const clusterState = flagIn(given, "initial-cluster-state");
  if (members === undefined || (clusterState !== "new" && clusterState !== "existing")) return null;
  const initialCluster = members.split(",").map((member) => {
    const [name = "", peerUrl = ""] = member.split(/=(.*)/s);
    return { name, peerUrl };
  });
  return { clusterState, initialCluster };
}
