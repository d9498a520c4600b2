/** The machines that a spec asks for, whatever the provider makes of them. */
import type { ClusterSpec, MasterSpec, ProviderSettings } from "./cluster-spec.ts";

/** A machine as in the spec. */
export type MachineHost = {
  readonly name: string;
  readonly address: string;
  readonly zone: string | null;
  readonly role: "master" | "loadBalancer" | "worker";
  /** The provider's own keys of the host; absent if it has none. */
  readonly settings?: ProviderSettings;
};

/** Those that haplan manages with everything on them: not adopted ones. */
export function ownMasters({ controlPlane }: ClusterSpec): readonly MasterSpec[] {
  return controlPlane.masters.filter(({ adoptedAt }) => adoptedAt === undefined);
}

/** All of them, in the order in which plans show them. The provider says which ones the load balancer is on. */
export function machineHosts(spec: ClusterSpec, loadBalancers: readonly MachineHost[]): readonly MachineHost[] {
  return [
    ...ownMasters(spec).map((master): MachineHost => ({ ...hostOf(master), role: "master" })),
    ...loadBalancers,
    ...spec.workers.map((worker): MachineHost => ({ ...hostOf(worker), role: "worker" })),
  ];
}

function hostOf({ name, address, zone, settings }: Omit<MachineHost, "role">): Omit<MachineHost, "role"> {
  return { name, address, zone, ...(settings === undefined ? {} : { settings }) };
}
