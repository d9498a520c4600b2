import type { HostCalls } from "../host/host-calls.ts";
import type { Provider } from "../providers/provider.ts";
import { gatherFacts } from "./gather-facts.ts";

/** The calls of a host: those of a provider for the machines in `root`, and the host's facts. */
export function providerCalls(provider: Provider, root: string): HostCalls {
  return {
    facts: () => gatherFacts(root),
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
