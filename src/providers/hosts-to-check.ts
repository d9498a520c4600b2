/** What the checks of hosts are about: all hosts, with their facts and what is to run on them. */
import type { HostFacts } from "../host/host-facts.ts";
import type { UnitDefinition } from "../units/unit-definition.ts";
import type { NetworkPath, VirtualAddress } from "./provider.ts";

export type MachineToCheck = {
  readonly name: string;
  /** As the spec has it; null where that is not known yet. */
  readonly address: string | null;
  readonly units: readonly UnitDefinition[];
  /** Programs that haplan installs for it; absent if there are none. */
  readonly installs?: readonly string[];
  /** Space that its data needs. */
  readonly bytes: number;
};

export type HostToCheck = {
  /** How the host is reached. */
  readonly host: string;
  readonly machines: readonly MachineToCheck[];
  /** Null for a host that was not reached. */
  readonly facts: HostFacts | null;
  /** Why haplan is not root there; null if it is. */
  readonly notRoot: string | null;
  /** How far its clock is ahead of the clock of this machine, and by how much that may be wrong. */
  readonly clock: { readonly offsetMs: number; readonly uncertaintyMs: number } | null;
};

export type HostsToCheck = {
  readonly cluster: string;
  /** As in `PreflightRequest`. */
  readonly certificateAgeMs: number | null;
  readonly hosts: readonly HostToCheck[];
  readonly paths: readonly TriedPath[];
  /** Absent if there is none. */
  readonly virtualAddress?: VirtualAddress;
  /** The virtual address, if another machine than one of the load balancer has it; else absent. */
  readonly takenAddress?: TakenAddress;
  /** The virtual address, if it could not be told whether another machine has it; else absent. */
  readonly untoldAddress?: UntoldAddress;
};

/**
 * `holder` is a machine of the cluster, or what is known of another one: its MAC address, or that it answers. `beside` is the host
 * of a load balancer that has the address as well; absent if none has.
 */
export type TakenAddress = { readonly address: string; readonly holder: string; readonly beside?: string };

/** `reason` is a sentence. */
export type UntoldAddress = { readonly address: string; readonly reason: string };

/** `summary` begins with the host. */
export type Finding = { readonly summary: string; readonly detail: string };

/** `untried`: a side of it could not take part. */
export type PathOutcome = "connected" | "refused" | "rejected" | "noAnswer" | "unknownName" | "untried";

export type TriedPath = NetworkPath & {
  readonly outcome: PathOutcome;
  /** The host that connects has no address of the family of this one. */
  readonly lacksFamily?: boolean;
};

/** The name of a host for people: its machines, and how it is reached. */
export function labelOf({
  host,
  machines,
}: {
  readonly host: string;
  readonly machines: readonly { readonly name: string }[];
}): string {
  const names = machines.map(({ name }) => name).join(", ");
  return names === "" || names === host ? host : `${names} (${host})`;
}
