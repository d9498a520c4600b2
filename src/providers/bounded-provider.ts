/** Bounds the calls of a provider. `observe`, `preflight`, `checkRemoval` and `check` address many machines: the provider bounds those calls itself. */
import type { MachineCall, MachineCalls } from "./machine-calls.ts";
import type { MachineRef, Provider } from "./provider.ts";

/** How much longer than other calls a restore may take. */
const restoreWaitMs = 3_600_000;

export function boundedProvider(provider: Provider, calls: MachineCalls): Provider {
  const on = (call: string, machine: MachineRef, signal: AbortSignal | undefined, waitMs = 0): MachineCall => ({
    what: `${call} ${typeof machine === "string" ? machine : `${machine.name}@${machine.generation}`}`,
    signal,
    waitMs,
  });
  return {
    model: provider.model,
    limits: provider.limits,
    // Its calls have time limits of their own, in minutes.
    ...(provider.cloudLoadBalancer === undefined ? {} : { cloudLoadBalancer: provider.cloudLoadBalancer }),
    otherPlace: async (resources, signal) => (await provider.otherPlace?.(resources, signal)) ?? null,
    claim: (lineage) => provider.claim?.(lineage),
    waitsFor: (name) => provider.waitsFor?.(name) ?? null,
    observe: (lineage, names, signal) => provider.observe(lineage, names, signal),
    observeOrphans: (signal) => provider.observeOrphans(signal),
    preflight: (request, signal) => provider.preflight(request, signal),
    checkRemoval: async (request, signal) => (await provider.checkRemoval?.(request, signal)) ?? [],
    check: (request, signal) => provider.check(request, signal),
    createMachine: (machine, signal) =>
      calls.run(on("createMachine", machine.name, signal), (given) => provider.createMachine(machine, given)),
    updateMachine: (machine, change, signal) =>
      calls.run(on("updateMachine", machine, signal), (given) => provider.updateMachine(machine, change, given)),
    renameMachine: (from, to, signal) =>
      calls.run(on("renameMachine", from, signal), (given) => provider.renameMachine(from, to, given)),
    destroyMachine: (machine, signal) =>
      calls.run(on("destroyMachine", machine, signal), (given) => provider.destroyMachine(machine, given)),
    startUnit: (machine, unit, signal) =>
      calls.run(on("startUnit", machine, signal), (given) => provider.startUnit(machine, unit, given)),
    artifact: (signal) => provider.artifact(signal),
    revertUnit: (machine, unit, signal) =>
      calls.run(on("revertUnit", machine, signal), (given) => provider.revertUnit(machine, unit, given)),
    stopUnit: (machine, unit, graceMs, signal) =>
      calls.run(on("stopUnit", machine, signal, graceMs), (given) => provider.stopUnit(machine, unit, graceMs, given)),
    restoreData: (machine, request, signal) =>
      calls.run(on("restoreData", machine, signal, restoreWaitMs), (given) =>
        provider.restoreData(machine, request, given),
      ),
    readData: (machine, request, signal) =>
      calls.run(on("readData", machine, signal, restoreWaitMs), (given) => provider.readData(machine, request, given)),
    exportData: (machine, request, signal) =>
      calls.run(on("exportData", machine, signal, restoreWaitMs), (given) =>
        provider.exportData(machine, request, given),
      ),
    // Without a limit: the machine ends it in its own time, and a connection that is lost ends the call.
    disturbUnit: (machine, unit, fault) => provider.disturbUnit(machine, unit, fault),
    removeUnit: (machine, unit, signal) =>
      calls.run(on("removeUnit", machine, signal), (given) => provider.removeUnit(machine, unit, given)),
    unitLog: (machine, unit, lines, signal) =>
      calls.run(on("unitLog", machine, signal), (given) => provider.unitLog(machine, unit, lines, given)),
    // It runs for as long as it is read, so it takes no slot from other calls.
    logs: (machine, request, signal) => provider.logs(machine, request, signal),
    shell: (machine, request) => provider.shell(machine, request),
    readUnitFile: (machine, unit, path, signal) =>
      calls.run(on("readUnitFile", machine, signal), (given) => provider.readUnitFile(machine, unit, path, given)),
    askUnit: (machine, unit, socket, question, signal) =>
      calls.run(on("askUnit", machine, signal), (given) => provider.askUnit(machine, unit, socket, question, given)),
    answersLocally: (machine, unit, url, signal) =>
      calls.run(on("answersLocally", machine, signal), (given) => provider.answersLocally(machine, unit, url, given)),
    runTask: (machine, unit, task, signal) =>
      calls.run(on("runTask", machine, signal), (given) => provider.runTask(machine, unit, task, given)),
    startTask: (machine, unit, task, signal) =>
      calls.run(on("startTask", machine, signal), (given) => provider.startTask(machine, unit, task, given)),
    taskReport: (machine, unit, task, signal) =>
      calls.run(on("taskReport", machine, signal), (given) => provider.taskReport(machine, unit, task, given)),
    // Each host of these is a call of its own.
    lock: (run, options, signal) => provider.lock(run, options, signal),
    reinstall: (signal) => provider.reinstall(signal),
    prepare: (machines, signal) => provider.prepare(machines, signal),
    removeLeftovers: (request, signal) => provider.removeLeftovers(request, signal),
    close: () => provider.close(),
  };
}
