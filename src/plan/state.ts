/** The state: a record of the cluster with identities. `src/state` reads and writes it. */
import { type Attributes, deposedAddress, parseAddress, type ResourceAddress, type ResourceType } from "./resource.ts";

export type StateResource = {
  readonly address: ResourceAddress;
  readonly type: ResourceType;
  readonly name: string;
  /** Incremented by each replacement; part of every derived id and token. */
  readonly generation: number;
  /** `degraded`: created, but not as wanted; it is repaired in place, never destroyed because of it. */
  readonly status: "ready" | "degraded";
  readonly attributes: Attributes;
  /** Names of attributes that are never shown. */
  readonly sensitive: readonly string[];
  readonly dependsOn: readonly ResourceAddress[];
};

export type State = {
  readonly version: 1;
  readonly haplanVersion: string;
  /** Random identity of this cluster's state, created once; every object of the cluster is labeled with it. */
  readonly lineage: string;
  /** Incremented by every write that changes something. */
  readonly serial: number;
  readonly clusterName: string;
  readonly resources: readonly StateResource[];
};

/** A resource of a master as that of its generation, while another one has its name. */
export function asDeposed(resource: StateResource): StateResource {
  const address = deposedAddress(resource.type, resource.name, resource.generation);
  return { ...resource, address, name: parseAddress(address).name };
}
