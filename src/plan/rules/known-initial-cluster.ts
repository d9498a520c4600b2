/** The initial cluster that an agent which is there was started with. */
import { peerUrl } from "../../units/addresses.ts";
import { type InitialCluster, isInitialCluster } from "../../units/initial-cluster.ts";
import { agentUnitName } from "../../units/unit-definition.ts";
import { unitOf } from "../cluster-view.ts";
import type { Planning } from "../planning.ts";
import { resourceAddress } from "../resource.ts";

/**
 * The initial cluster that an agent was started with, from the state or, where that was lost, from its unit, so that its
 * unit stays the same. Null if neither tells: a unit that is written without it is another one, for which the agent restarts.
 */
export function knownInitialCluster({ view }: Planning, name: string): InitialCluster | null {
  const join = view.resources.get(resourceAddress("haplan_agent", name))?.attributes["join"];
  if (isInitialCluster(join)) return join;
  return unitOf(view.machines.get(name), agentUnitName)?.initialCluster ?? null;
}

/** Where it is unknown, the spec's masters. */
export function initialClusterOf(planning: Planning, name: string): InitialCluster {
  const known = knownInitialCluster(planning, name);
  if (known !== null) return known;
  return {
    clusterState: "existing",
    initialCluster: planning.spec.controlPlane.masters.map((master) => ({
      name: master.name,
      peerUrl: peerUrl(planning.spec, master),
    })),
  };
}
