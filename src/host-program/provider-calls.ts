import type { HostCalls } from "../host/host-calls.ts";
import type { Provider } from "../providers/provider.ts";
import { hostIdentity } from "./host-identity.ts";

/** The calls of a host: those of a provider for its machines, and its identity. */
export function providerCalls(provider: Provider): HostCalls {
  return {
    facts: async () => hostIdentity(),
    observe: (lineage, names) => provider.observe(lineage, names),
    observeOrphans: () => provider.observeOrphans(),
    preflight: (request) => provider.preflight(request),
    createMachine: (machine) => provider.createMachine(machine),
    renameMachine: (from, to) => provider.renameMachine(from, to),
    destroyMachine: (machine) => provider.destroyMachine(machine),
    startUnit: (machine, unit) => provider.startUnit(machine, unit),
    stopUnit: (machine, unit, graceMs) => provider.stopUnit(machine, unit, graceMs),
    removeUnit: (machine, unit) => provider.removeUnit(machine, unit),
    unitLog: (machine, unit, lines) => provider.unitLog(machine, unit, lines),
    readUnitFile: (machine, unit, path) => provider.readUnitFile(machine, unit, path),
  };
}
