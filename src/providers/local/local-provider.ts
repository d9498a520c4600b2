/**
 * The provider that needs nothing but this machine: machines are folders under `<root>/machines`, units are real
 * processes that live on when haplan has ended.
 */
import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { makeFolderDurably, syncFolder } from "../../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import type { ObservedMachine, ObservedOrphan, ObservedUnit } from "../../plan/observed-cluster.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { MachineIdentity, Provider } from "../provider.ts";
import { unitDigest, unitRestartDigest } from "../unit-digest.ts";
import {
  createMachineFolder,
  listFolder,
  machineNames,
  machinePaths,
  placeOfUnit,
  readLabel,
  removeMachineFolder,
  unitPaths,
} from "./machine-folder.ts";
import { preflightLocal } from "./preflight.ts";
import { markedProcesses } from "./process-table.ts";
import { builtProgramsFolder, findExecutable } from "./programs.ts";
import { createFillIn, observedDigest, readUnitRecord, writeUnitFiles } from "./unit-files.ts";
import { findUnitProcess, logTail, signalProcess, startProcess, stopProcess } from "./unit-process.ts";

export type LocalProviderOptions = {
  /** The cluster's folder, `.haplan/<cluster>`. */
  readonly root: string;
  /** Holds `<command>/main.js` for each of haplan's own programs; `dist/cmd` unless told otherwise. */
  readonly programsFolder?: string;
};

export type LocalProvider = Provider & {
  /** A file in a unit's folder, also one that the unit wrote itself; null when it is not there. */
  readUnitFile(machine: string, unit: string, path: string): Promise<string | null>;
};

/** How long a restarted or removed unit may take to end by itself. */
const restartGraceMs = 10_000;

export function createLocalProvider(options: LocalProviderOptions): LocalProvider {
  const root = resolve(options.root);
  const programsFolder = options.programsFolder ?? builtProgramsFolder();
  return {
    observe: async (lineage, names) => observeMachines(root, lineage, names),
    observeOrphans: async () => observeOrphans(root),
    preflight: (request) => preflightLocal(root, programsFolder, request),
    createMachine: async (machine) => createMachineFolder(root, machine),
    destroyMachine: (name) => destroyMachine(root, name),
    startUnit: (machine, unit) => startUnit(root, programsFolder, machine, unit),
    stopUnit: (machine, unit, graceMs) => stopProcess(unitPaths(root, machine, unit), graceMs),
    removeUnit: (machine, unit) => removeUnit(root, machine, unit),
    unitLog: async (machine, unit, lines) => logTail(unitPaths(root, machine, unit).log, lines),
    readUnitFile: async (machine, unit, path) => readIfThere(join(unitPaths(root, machine, unit).files, path)),
  };
}

function observeMachines(root: string, lineage: string | null, names: readonly string[]): ObservedMachine[] {
  const labels = machineNames(root).map((name) => readLabel(root, name));
  return labels
    .filter((label) => label !== null)
    .filter((label) => label.lineage === lineage || names.includes(label.name))
    .map((label) => observeMachine(root, label));
}

function observeOrphans(root: string): readonly ObservedOrphan[] {
  return markedProcesses().flatMap(({ pid, unitFolder }) => {
    const unit = placeOfUnit(unitFolder);
    if (unit === null || unit.root !== root || readLabel(root, unit.machine) !== null) return [];
    return [{ machine: unit.machine, unit: unit.unit, pid }];
  });
}

function observeMachine(root: string, label: MachineIdentity): ObservedMachine {
  const paths = machinePaths(root, label.name);
  return {
    name: label.name,
    address: label.address,
    lineage: label.lineage,
    generation: label.generation,
    hasData: listFolder(paths.data).length > 0,
    units: listFolder(paths.units).flatMap((unit) => observeUnit(root, label.name, unit)),
  };
}

function observeUnit(root: string, machine: string, unit: string): ObservedUnit[] {
  const paths = unitPaths(root, machine, unit);
  const record = readUnitRecord(paths);
  const running = findUnitProcess(paths);
  if (record === null && running === null) return [];
  return [
    {
      name: unit,
      running: running !== null,
      pid: running?.pid ?? null,
      definitionDigest: record === null ? "" : observedDigest(paths, record),
    },
  ];
}

async function startUnit(
  root: string,
  programsFolder: string,
  machine: string,
  unit: UnitDefinition,
): Promise<{ readonly pid: number }> {
  if (readLabel(root, machine) === null) {
    throw new HaplanError("provider/no-machine", `Cannot start unit "${unit.name}": there is no machine "${machine}"`);
  }
  const executable = findExecutable(unit.program, programsFolder);
  if (executable === null) {
    throw new HaplanError("provider/program-missing", `Cannot start "${unit.program.command}": it is not there`);
  }
  const paths = unitPaths(root, machine, unit.name);
  const dataFolder = machinePaths(root, machine).data;
  const fillIn = createFillIn(paths, dataFolder);
  const record = readUnitRecord(paths);
  const running = findUnitProcess(paths);
  if (record !== null && running !== null) {
    if (observedDigest(paths, record) === unitDigest(unit)) return { pid: running.pid };
    if (unit.reload !== undefined && record.restartDigest === unitRestartDigest(unit)) {
      writeUnitFiles(paths, unit, fillIn);
      if (unit.reload.signal !== null) signalProcess(running, unit.reload.signal);
      return { pid: running.pid };
    }
  }
  await stopProcess(paths, restartGraceMs);
  makeFolderDurably(dataFolder);
  writeUnitFiles(paths, unit, fillIn);
  const started = await startProcess(paths, {
    file: executable.file,
    arguments: [...executable.leadingArguments, ...unit.arguments.map(fillIn)],
    environment: Object.fromEntries(Object.entries(unit.environment).map(([name, value]) => [name, fillIn(value)])),
    workingFolder: paths.files,
    listens: unit.listens,
  });
  return { pid: started.pid };
}

async function removeUnit(root: string, machine: string, unit: string): Promise<void> {
  const paths = unitPaths(root, machine, unit);
  await stopProcess(paths, restartGraceMs);
  rmSync(paths.folder, { recursive: true, force: true });
  if (listFolder(machinePaths(root, machine).folder).includes("units")) syncFolder(machinePaths(root, machine).units);
}

async function destroyMachine(root: string, name: string): Promise<void> {
  const orphaned = observeOrphans(root).filter(({ machine }) => machine === name);
  const units = [...new Set([...listFolder(machinePaths(root, name).units), ...orphaned.map(({ unit }) => unit)])];
  await Promise.all(units.map((unit) => stopProcess(unitPaths(root, name, unit), restartGraceMs)));
  removeMachineFolder(root, name);
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}
