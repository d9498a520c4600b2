/**
 * The provider that needs only this machine: machines are directories under `<root>/machines`, units are real processes
 * that outlive haplan.
 */
import { readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { assert } from "../../base/assert.ts";
import { makeDirDurably, syncDir } from "../../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import type { ObservedMachine, ObservedOrphan, ObservedUnit } from "../../plan/observed-cluster.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { MachineIdentity, MachineRef, Provider } from "../provider.ts";
import { unitDigest, unitRestartDigest } from "../unit-digest.ts";
import { localLimits, localModel } from "./local-model.ts";
import {
  createMachineDir,
  dirOf,
  dirsOf,
  listDir,
  machineDirs,
  machineOfDir,
  machinePaths,
  placeOfUnit,
  readLabel,
  removeMachineDir,
  renameMachineDirs,
  unitPaths,
} from "./machine-dir.ts";
import { preflightLocal } from "./preflight.ts";
import { markedProcesses } from "./process-table.ts";
import { builtProgramsDir, findExecutable } from "./programs.ts";
import { createFillIn, observedDigest, readUnitRecord, writeUnitFiles } from "./unit-files.ts";
import { findUnitProcess, logTail, signalProcess, startProcess, stopProcess } from "./unit-process.ts";

export type LocalProviderOptions = {
  /** The cluster's directory, `.haplan/<cluster>`. */
  readonly root: string;
  /** Contains `<command>/main.js` for each of haplan's own programs; `dist/cmd` by default. */
  readonly programsDir?: string;
};

/** How long a restarted or removed unit may take to exit. */
const restartGraceMs = 10_000;

export function createLocalProvider(options: LocalProviderOptions): Provider {
  const root = resolve(options.root);
  const programsDir = options.programsDir ?? builtProgramsDir();
  return {
    model: localModel,
    limits: localLimits,
    observe: async (lineage, names) => ({ machines: observeMachines(root, lineage, names), unreachable: [] }),
    observeOrphans: async () => observeOrphans(root),
    preflight: (request) => preflightLocal(root, programsDir, request),
    createMachine: async ({ beside, attributes: _, address, ...machine }) => {
      assert(address !== null, "the address of a directory is in the spec");
      createMachineDir(root, { ...machine, address }, beside);
      return {};
    },
    // A directory has no attributes.
    updateMachine: async () => ({}),
    renameMachine: async (from, to) => renameMachineDirs(root, from, to),
    destroyMachine: (machine) => destroyMachine(root, machine),
    startUnit: (machine, unit) => startUnit(root, programsDir, machine, unit),
    stopUnit: (machine, unit, graceMs) => stopProcess(unitPaths(root, dirOf(root, machine), unit), graceMs),
    removeUnit: (machine, unit) => removeUnit(root, dirOf(root, machine), unit),
    unitLog: async (machine, unit, lines) => logTail(unitPaths(root, dirOf(root, machine), unit).log, lines),
    readUnitFile: async (machine, unit, path) =>
      readIfThere(join(unitPaths(root, dirOf(root, machine), unit).files, path)),
    close: async () => {},
  };
}

function observeMachines(root: string, lineage: string | null, names: readonly string[]): ObservedMachine[] {
  return machineDirs(root).flatMap((directory) => {
    const label = readLabel(root, directory);
    if (label === null || (label.lineage !== lineage && !names.includes(label.name))) return [];
    return [observeMachine(root, directory, label)];
  });
}

function observeOrphans(root: string): readonly ObservedOrphan[] {
  return orphanPlaces(root).map(({ directory, unit, pid }) => ({ machine: machineOfDir(directory), unit, pid }));
}

function orphanPlaces(
  root: string,
): readonly { readonly directory: string; readonly unit: string; readonly pid: number }[] {
  return markedProcesses().flatMap(({ pid, unitDir }) => {
    const unit = placeOfUnit(unitDir);
    if (unit === null || unit.root !== root || readLabel(root, unit.machine) !== null) return [];
    return [{ directory: unit.machine, unit: unit.unit, pid }];
  });
}

function observeMachine(root: string, directory: string, label: MachineIdentity): ObservedMachine {
  const paths = machinePaths(root, directory);
  return {
    name: label.name,
    address: label.address,
    lineage: label.lineage,
    generation: label.generation,
    hasData: listDir(paths.data).length > 0,
    units: listDir(paths.units).flatMap((unit) => observeUnit(root, directory, unit)),
  };
}

function observeUnit(root: string, directory: string, unit: string): ObservedUnit[] {
  const paths = unitPaths(root, directory, unit);
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
  programsDir: string,
  machine: MachineRef,
  unit: UnitDefinition,
): Promise<{ readonly pid: number }> {
  const directory = dirOf(root, machine);
  if (readLabel(root, directory) === null) {
    throw new HaplanError(
      "provider/no-machine",
      `Cannot start unit "${unit.name}": there is no machine "${directory}"`,
    );
  }
  const executable = findExecutable(unit.program, programsDir);
  if (executable === null) {
    throw new HaplanError(
      "provider/program-missing",
      `Cannot start "${unit.program.command}": the program does not exist`,
    );
  }
  const paths = unitPaths(root, directory, unit.name);
  const dataDir = machinePaths(root, directory).data;
  const fillIn = createFillIn(paths, dataDir);
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
  makeDirDurably(dataDir);
  writeUnitFiles(paths, unit, fillIn);
  const started = await startProcess(paths, {
    file: executable.file,
    arguments: [...executable.leadingArguments, ...unit.arguments.map(fillIn)],
    environment: Object.fromEntries(Object.entries(unit.environment).map(([name, value]) => [name, fillIn(value)])),
    workingDir: paths.files,
    listens: unit.listens,
  });
  return { pid: started.pid };
}

async function removeUnit(root: string, directory: string, unit: string): Promise<void> {
  const paths = unitPaths(root, directory, unit);
  await stopProcess(paths, restartGraceMs);
  rmSync(paths.directory, { recursive: true, force: true });
  if (listDir(machinePaths(root, directory).directory).includes("units")) syncDir(machinePaths(root, directory).units);
}

async function destroyMachine(root: string, machine: MachineRef): Promise<void> {
  const left = orphanPlaces(root);
  const directories = typeof machine === "string" ? allDirs(root, machine, left) : [dirOf(root, machine)];
  for (const directory of directories) {
    const orphaned = left.filter((each) => each.directory === directory);
    const units = [...new Set([...listDir(machinePaths(root, directory).units), ...orphaned.map(({ unit }) => unit)])];
    await Promise.all(units.map((unit) => stopProcess(unitPaths(root, directory, unit), restartGraceMs)));
    removeMachineDir(root, directory);
  }
}

/** Also one that was never labeled, and missing ones with running processes. */
function allDirs(root: string, name: string, left: readonly { readonly directory: string }[]): readonly string[] {
  const labeled = dirsOf(root, name).map(({ directory }) => directory);
  const orphaned = left.map(({ directory }) => directory).filter((directory) => machineOfDir(directory) === name);
  const unlabeled = readLabel(root, name) === null ? [name] : [];
  return [...new Set([...unlabeled, ...labeled, ...orphaned])];
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}
