import type { HostCalls } from "../host/host-calls.ts";
import type { MachineRef, Provider } from "../providers/provider.ts";
import { hostIdentity } from "./host-identity.ts";
import type { HostLock } from "./host-lock.ts";
import type { HostPackages } from "./packages/host-packages.ts";

export type HostParts = {
  readonly provider: Provider;
  /** The cluster's name. */
  readonly cluster: string;
  readonly packages: HostPackages;
  readonly lock: HostLock;
  /** Removes what was made for machines once there are none. */
  readonly leave: () => Promise<void>;
};

/** The calls of a host: those of a provider for its machines, their packages, and its identity. */
export function providerCalls({ provider, cluster, packages, lock, leave }: HostParts): HostCalls {
  const userOf = (machine: string): string => `${cluster}/${machine}`;
  const destroyMachine = async (machine: MachineRef): Promise<void> => {
    await provider.destroyMachine(machine);
    const name = typeof machine === "string" ? machine : machine.name;
    const { machines, unreachable } = await provider.observe(null, [name]);
    if ([...machines, ...unreachable].some((each) => each.name === name)) return;
    await packages.release(userOf(name));
    await leave();
  };
  return {
    facts: async () => hostIdentity(),
    lock: async (run) => lock.take(run),
    observe: (lineage, names) => provider.observe(lineage, names),
    observeOrphans: () => provider.observeOrphans(),
    preflight: (request) => provider.preflight(request),
    installPackages: (machine, programs) => packages.install(userOf(machine), programs),
    createMachine: (machine) => provider.createMachine(machine),
    renameMachine: (from, to) => provider.renameMachine(from, to),
    destroyMachine,
    startUnit: (machine, unit) => provider.startUnit(machine, unit),
    revertUnit: (machine, unit) => provider.revertUnit(machine, unit),
    stopUnit: (machine, unit, graceMs) => provider.stopUnit(machine, unit, graceMs),
    disturbUnit: (machine, unit, fault) => provider.disturbUnit(machine, unit, fault),
    restoreData: (machine, request) => provider.restoreData(machine, request),
    readData: (machine, request) => provider.readData(machine, request),
    exportData: (machine, request) => provider.exportData(machine, request),
    removeUnit: (machine, unit) => provider.removeUnit(machine, unit),
    unitLog: (machine, unit, lines) => provider.unitLog(machine, unit, lines),
    runTask: (machine, unit, task) => provider.runTask(machine, unit, task),
    startTask: (machine, unit, task) => provider.startTask(machine, unit, task),
    taskReport: (machine, unit, task) => provider.taskReport(machine, unit, task),
    readUnitFile: (machine, unit, path) => provider.readUnitFile(machine, unit, path),
    answersLocally: (machine, unit, url) => provider.answersLocally(machine, unit, url),
    askUnit: (machine, unit, socket, question) => provider.askUnit(machine, unit, socket, question),
  };
}
