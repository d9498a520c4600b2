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
import type { MachineIdentity, MachineRef, Provider } from "../provider.ts";
import { unitDigest, unitRestartDigest } from "../unit-digest.ts";
import {
  createMachineFolder,
  folderOf,
  foldersOf,
  listFolder,
  machineFolders,
  machineOfFolder,
  machinePaths,
  placeOfUnit,
  readLabel,
  removeMachineFolder,
  renameMachineFolders,
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

/** How long a restarted or removed unit may take to end by itself. */
const restartGraceMs = 10_000;

export function createLocalProvider(options: LocalProviderOptions): Provider {
  const root = resolve(options.root);
  const programsFolder = options.programsFolder ?? builtProgramsFolder();
  return {
    observe: async (lineage, names) => ({ machines: observeMachines(root, lineage, names), unreachable: [] }),
    observeOrphans: async () => observeOrphans(root),
    preflight: (request) => preflightLocal(root, programsFolder, request),
    createMachine: async (machine, beside) => createMachineFolder(root, machine, beside),
    renameMachine: async (from, to) => renameMachineFolders(root, from, to),
    destroyMachine: (machine) => destroyMachine(root, machine),
    startUnit: (machine, unit) => startUnit(root, programsFolder, machine, unit),
    stopUnit: (machine, unit, graceMs) => stopProcess(unitPaths(root, folderOf(root, machine), unit), graceMs),
    removeUnit: (machine, unit) => removeUnit(root, folderOf(root, machine), unit),
    unitLog: async (machine, unit, lines) => logTail(unitPaths(root, folderOf(root, machine), unit).log, lines),
    readUnitFile: async (machine, unit, path) =>
      readIfThere(join(unitPaths(root, folderOf(root, machine), unit).files, path)),
  };
}

function observeMachines(root: string, lineage: string | null, names: readonly string[]): ObservedMachine[] {
  return machineFolders(root).flatMap((folder) => {
    const label = readLabel(root, folder);
    if (label === null || (label.lineage !== lineage && !names.includes(label.name))) return [];
    return [observeMachine(root, folder, label)];
  });
}

function observeOrphans(root: string): readonly ObservedOrphan[] {
  return orphanPlaces(root).map(({ folder, unit, pid }) => ({ machine: machineOfFolder(folder), unit, pid }));
}

function orphanPlaces(
  root: string,
): readonly { readonly folder: string; readonly unit: string; readonly pid: number }[] {
  return markedProcesses().flatMap(({ pid, unitFolder }) => {
    const unit = placeOfUnit(unitFolder);
    if (unit === null || unit.root !== root || readLabel(root, unit.machine) !== null) return [];
    return [{ folder: unit.machine, unit: unit.unit, pid }];
  });
}

function observeMachine(root: string, folder: string, label: MachineIdentity): ObservedMachine {
  const paths = machinePaths(root, folder);
  return {
    name: label.name,
    address: label.address,
    lineage: label.lineage,
    generation: label.generation,
    hasData: listFolder(paths.data).length > 0,
    units: listFolder(paths.units).flatMap((unit) => observeUnit(root, folder, unit)),
  };
}

function observeUnit(root: string, folder: string, unit: string): ObservedUnit[] {
  const paths = unitPaths(root, folder, unit);
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
  machine: MachineRef,
  unit: UnitDefinition,
): Promise<{ readonly pid: number }> {
  const folder = folderOf(root, machine);
  if (readLabel(root, folder) === null) {
    throw new HaplanError("provider/no-machine", `Cannot start unit "${unit.name}": there is no machine "${folder}"`);
  }
  const executable = findExecutable(unit.program, programsFolder);
  if (executable === null) {
    throw new HaplanError("provider/program-missing", `Cannot start "${unit.program.command}": it is not there`);
  }
  const paths = unitPaths(root, folder, unit.name);
  const dataFolder = machinePaths(root, folder).data;
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

async function removeUnit(root: string, folder: string, unit: string): Promise<void> {
  const paths = unitPaths(root, folder, unit);
  await stopProcess(paths, restartGraceMs);
  rmSync(paths.folder, { recursive: true, force: true });
  if (listFolder(machinePaths(root, folder).folder).includes("units")) syncFolder(machinePaths(root, folder).units);
}

async function destroyMachine(root: string, machine: MachineRef): Promise<void> {
  const left = orphanPlaces(root);
  const folders = typeof machine === "string" ? allFolders(root, machine, left) : [folderOf(root, machine)];
  for (const folder of folders) {
    const orphaned = left.filter((each) => each.folder === folder);
    const units = [...new Set([...listFolder(machinePaths(root, folder).units), ...orphaned.map(({ unit }) => unit)])];
    await Promise.all(units.map((unit) => stopProcess(unitPaths(root, folder, unit), restartGraceMs)));
    removeMachineFolder(root, folder);
  }
}

/** Also one that was never labelled, and those that are gone and have left processes. */
function allFolders(root: string, name: string, left: readonly { readonly folder: string }[]): readonly string[] {
  const labelled = foldersOf(root, name).map(({ folder }) => folder);
  const orphaned = left.map(({ folder }) => folder).filter((folder) => machineOfFolder(folder) === name);
  const unlabelled = readLabel(root, name) === null ? [name] : [];
  return [...new Set([...unlabelled, ...labelled, ...orphaned])];
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}
