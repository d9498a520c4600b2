/** What haplan remembers: a cache of the world with identity. Reading and writing it is the state room's business. */
import type { Attributes, ResourceAddress, ResourceType } from "./resource.ts";

export type StateResource = {
  readonly address: ResourceAddress;
  readonly type: ResourceType;
  readonly name: string;
  /** +1 at each replacement; part of every derived id and token. */
  readonly generation: number;
  /** `degraded`: made, but not as wanted; it is repaired in place, never destroyed for it. */
  readonly status: "ready" | "degraded";
  readonly attributes: Attributes;
  /** Names of attributes that are never shown. */
  readonly sensitive: readonly string[];
  readonly dependsOn: readonly ResourceAddress[];
};

export type State = {
  readonly version: 1;
  readonly haplanVersion: string;
  /** Random identity of this cluster's state, made once; every object in the world carries it. */
  readonly lineage: string;
  /** +1 with every write that changed something. */
  readonly serial: number;
  readonly clusterName: string;
  readonly resources: readonly StateResource[];
};
