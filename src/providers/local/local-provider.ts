/**
 * The provider that needs only this machine: machines are directories under `<root>/machines`, units are real processes
 * that outlive haplan.
 */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { assert } from "../../base/assert.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { flagIn } from "../../units/flag-in.ts";
import type { UnitArtifact, UnitDefinition } from "../../units/unit-definition.ts";
import type { MachineRef, Provider, ShellProcess, ShellRequest } from "../provider.ts";
import type { Supervisor } from "../supervisor.ts";
import { answersAt } from "./answers-at.ts";
import { askUnitSocket } from "./ask-unit-socket.ts";
import { detachedProcesses } from "./detached-processes.ts";
import { localLimits, localModel } from "./local-model.ts";
import { type LocalPlace, tasksOf } from "./local-place.ts";
import { type DataPlace, exportMachineData, readMachineData, restoreMachineData } from "./machine-data.ts";
import {
  createMachineDir,
  dirOf,
  hasDamagedLabel,
  machineOfDir,
  machinePaths,
  readLabel,
  renameMachineDirs,
  type UnitPaths,
  unitPaths,
} from "./machine-dir.ts";
import { machineLogs } from "./machine-logs.ts";
import { observeMachines, orphans } from "./observe-machines.ts";
import { preflightLocal } from "./preflight.ts";
import { builtProgramsDir } from "./programs.ts";
import { destroyDir, destroyMachine, removeUnit } from "./remove-machines.ts";
import { revertUnit, startUnit } from "./start-unit.ts";
import { readUnitRecord } from "./unit-files.ts";

export type LocalProviderOptions = {
  /** The cluster's directory, `.haplan/<cluster>`. */
  readonly root: string;
  /** Contains `<command>/main.js` for each of haplan's own programs; `dist/cmd` by default. */
  readonly programsDir?: string;
  /** The version of haplan's programs that units get; absent: that of each unit, or what is in `programsDir`. */
  readonly artifact?: () => Promise<UnitArtifact>;
  /** What runs the units; detached processes unless told otherwise. */
  readonly supervisor?: Supervisor;
  /** The root of files that units have outside of their directories; a directory of each machine unless told otherwise. */
  readonly systemRoot?: string;
};

export function createLocalProvider(options: LocalProviderOptions): Provider {
  const root = resolve(options.root);
  const { programsDir = builtProgramsDir(), supervisor = detachedProcesses, systemRoot = null } = options;
  const place: LocalPlace = { root, programsDir, supervisor, systemRoot };
  const dataPlace: DataPlace = { ...place, artifact: options.artifact };
  const unitOf = (machine: MachineRef, unit: string): UnitPaths => unitPaths(root, dirOf(root, machine), unit);
  return {
    model: localModel,
    limits: localLimits,
    observe: (lineage, names) => observeMachines(place, lineage, names),
    observeOrphans: async () =>
      (await orphans(place)).flatMap(({ machine, unit, pid }) =>
        pid === null ? [] : [{ machine: machineOfDir(machine), unit, pid }],
      ),
    preflight: (request) => preflightLocal(place, request),
    check: async (request) => {
      const { checkThisMachine } = await import("./check-this-machine.ts");
      return checkThisMachine(place, request);
    },
    createMachine: async ({ beside, attributes: _, address, ...machine }) => {
      assert(address !== null, "the address of a directory is in the spec");
      // It may hold the data of another member.
      if (hasDamagedLabel(root, machine.name)) await destroyDir(place, machine.name, []);
      createMachineDir(root, { ...machine, address }, beside);
      return {};
    },
    // A directory has no attributes.
    updateMachine: async () => ({}),
    renameMachine: async (from, to) => renameMachineDirs(root, from, to),
    destroyMachine: (machine) => destroyMachine(place, machine),
    startUnit: async (machine, unit) => startUnit(place, machine, await withVersion(unit, options.artifact)),
    artifact: async () => (await options.artifact?.())?.name ?? null,
    revertUnit: (machine, unit) => revertUnit(place, unitOf(machine, unit)),
    stopUnit: async (machine, unit, graceMs) => supervisor.stop(unitOf(machine, unit), graceMs),
    disturbUnit: async (machine, unit, fault) => supervisor.disturb(unitOf(machine, unit), fault),
    readData: (machine, request) => readMachineData(dataPlace, machine, request),
    exportData: (machine, request) => exportMachineData(dataPlace, machine, request),
    restoreData: (machine, request) => restoreMachineData(dataPlace, machine, request),
    removeUnit: async (machine, unit) => removeUnit(place, unitOf(machine, unit)),
    unitLog: async (machine, unit, lines) => supervisor.log(unitOf(machine, unit), lines),
    logs: (machine, request, signal) => machineLogs(place, machine, request, signal),
    shell: async (machine, request) => machineShell(root, machine, request),
    readUnitFile: async (machine, unit, path) => {
      const known = unitOf(machine, unit);
      return readIfExists(join(known.files, path)) ?? readIfExists(join(supervisor.runtimeDir(known), path));
    },
    askUnit: async (machine, unit, socket, question) => {
      const running = await supervisor.find(unitOf(machine, unit));
      return running === null ? null : await askUnitSocket(running.pid, socket, question);
    },
    answersLocally: (machine, unit, url) => {
      const started = readUnitRecord(unitOf(machine, unit))?.command?.arguments ?? [];
      const [own = url] = flagIn(started, "listen-client-urls")?.split(",") ?? [];
      return answersAt(own);
    },
    runTask: (machine, unit, task) => tasksOf(place, unitOf(machine, unit)).run(task),
    startTask: (machine, unit, task) => tasksOf(place, unitOf(machine, unit)).start(task),
    taskReport: (machine, unit, task) => tasksOf(place, unitOf(machine, unit)).report(task),
    // Its directory has a lock: that of the state.
    lock: async () => {},
    // They run from where haplan itself is installed.
    reinstall: async () => [],
    prepare: async () => [],
    // They are in the directory of the cluster.
    removeLeftovers: async () => [],
    close: async () => {},
  };
}

/** A machine is a directory of this one: commands run in it. */
function machineShell(root: string, machine: MachineRef, { command }: ShellRequest): ShellProcess {
  const directory = dirOf(root, machine);
  if (readLabel(root, directory) === null)
    throw new HaplanError("provider/no-machine", `There is no machine "${directory}"`);
  const path = machinePaths(root, directory).directory;
  if (command === null)
    throw new HaplanError("provider/no-login", `A local machine is a directory, not a host to log in to\n${path}`);
  const [file, ...given] = command;
  return { file, arguments: given, directory: path };
}

function readIfExists(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}

async function withVersion(unit: UnitDefinition, artifact: LocalProviderOptions["artifact"]): Promise<UnitDefinition> {
  if (artifact === undefined || unit.program.kind !== "haplan") return unit;
  return { ...unit, artifact: await artifact() };
}
