/**
 * The provider that needs only this machine: machines are directories under `<root>/machines`, units are real processes
 * that outlive haplan.
 */

import { chownSync, existsSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { assert } from "../../base/assert.ts";
import { makeDirDurably, syncDir } from "../../base/durable-file.ts";
import { errorText, HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import type { ObservedMachine, ObservedUnit, UnreachableMachine } from "../../plan/observed-cluster.ts";
import { agentUnitName, type UnitArtifact, type UnitDefinition } from "../../units/unit-definition.ts";
import type { LogEvent, LogRequest } from "../log-entry.ts";
import { mergeLogs } from "../merge-logs.ts";
import type { FoundMachines, MachineIdentity, MachineRef, Provider, ShellProcess, ShellRequest } from "../provider.ts";
import type { RestoreDataRequest } from "../restore-data.ts";
import type { ProcessRequest, Supervisor } from "../supervisor.ts";
import { contentDigest, unitDigest, unitRestartDigest } from "../unit-digest.ts";
import { askUnitSocket } from "./ask-unit-socket.ts";
import { checkUnitFiles } from "./check-unit-files.ts";
import { detachedProcesses } from "./detached-processes.ts";
import { forgetFormer, keepFormer, readFormer } from "./former-unit.ts";
import { freeBytesAt } from "./free-space.ts";
import { listenCheck } from "./listening-sockets.ts";
import { localLimits, localModel } from "./local-model.ts";
import {
  artifactsDir,
  createMachineDir,
  dirOf,
  dirsOf,
  hasDamagedLabel,
  listDir,
  machineDirs,
  machineOfDir,
  machinePaths,
  readLabel,
  removeMachineDir,
  renameMachineDirs,
  type UnitPaths,
  unitPaths,
} from "./machine-dir.ts";
import { preflightLocal } from "./preflight.ts";
import { isRunAs } from "./process-table.ts";
import { builtProgramsDir, type Executable, findExecutable } from "./programs.ts";
import { restoreData } from "./restore-data.ts";
import { assertRouterIdFree } from "./router-ids.ts";
import { UnitCopies } from "./unit-copies.ts";
import {
  createFillIn,
  type FillIn,
  observedDigest,
  readUnitRecord,
  type UnitCommand,
  type UnitRecord,
  writeRecordedFiles,
  writeUnitFiles,
} from "./unit-files.ts";
import { UnitTasks } from "./unit-tasks.ts";

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

type Place = {
  readonly root: string;
  readonly programsDir: string;
  readonly supervisor: Supervisor;
  readonly systemRoot: string | null;
};

/** How long a restarted or removed unit may take to exit. */
const restartGraceMs = 10_000;

export function createLocalProvider(options: LocalProviderOptions): Provider {
  const root = resolve(options.root);
  const { programsDir = builtProgramsDir(), supervisor = detachedProcesses, systemRoot = null } = options;
  const place: Place = { root, programsDir, supervisor, systemRoot };
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
    restoreData: (machine, request) => restoreMachineData(place, machine, request, options.artifact),
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
    runTask: (machine, unit, task) => tasksOf(place, unitOf(machine, unit)).run(task),
    startTask: (machine, unit, task) => tasksOf(place, unitOf(machine, unit)).start(task),
    taskReport: (machine, unit, task) => tasksOf(place, unitOf(machine, unit)).report(task),
    // They run from where haplan itself is installed.
    reinstall: async () => [],
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

async function* machineLogs(
  { root, supervisor }: Place,
  machine: MachineRef,
  { unit: only, ...selection }: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<LogEvent> {
  const directory = dirOf(root, machine);
  const label = readLabel(root, directory);
  if (label === null) throw new HaplanError("provider/no-machine", `There is no machine "${directory}"`);
  const units = listDir(machinePaths(root, directory).units).filter((unit) => only === null || unit === only);
  const logs = units.map(async function* (unit): AsyncGenerator<LogEvent> {
    for await (const line of supervisor.logs(unitPaths(root, directory, unit), selection, signal))
      yield line === "current" ? line : { machine: label.name, unit, ...line };
  });
  let failure: { readonly error: unknown } | null = null;
  const onFailure = (_: number, error: unknown): void => {
    failure ??= { error };
  };
  yield* mergeLogs(logs, { onFailure });
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}

async function observeMachines(place: Place, lineage: string | null, names: readonly string[]): Promise<FoundMachines> {
  const { root } = place;
  const machines: ObservedMachine[] = [];
  const unreachable: UnreachableMachine[] = [];
  const look = async (directory: string): Promise<void> => {
    try {
      if (hasDamagedLabel(root, directory)) throw damagedLabel(root, directory);
      const label = readLabel(root, directory);
      if (label === null || (label.lineage !== lineage && !names.includes(label.name))) return;
      machines.push(await observeMachine(place, directory, label));
    } catch (error) {
      unreachable.push({ name: machineOfDir(directory), reason: errorText(error).replace(/\.$/, "") });
    }
  };
  await Promise.all(machineDirs(root).map(look));
  return { machines, unreachable };
}

function damagedLabel(root: string, directory: string): HaplanError {
  const { label } = machinePaths(root, directory);
  return new HaplanError("provider/damaged-file", `"${label}" is damaged: it does not say which machine this is`);
}

/** Units of machines that are not there any more. */
async function orphans({ root, supervisor }: Place): Promise<Awaited<ReturnType<Supervisor["units"]>>> {
  const isThere = (machine: string): boolean => readLabel(root, machine) !== null || hasDamagedLabel(root, machine);
  return (await supervisor.units(root)).filter(({ machine }) => !isThere(machine));
}

async function observeMachine(place: Place, directory: string, label: MachineIdentity): Promise<ObservedMachine> {
  const paths = machinePaths(place.root, directory);
  const units = await Promise.all(listDir(paths.units).map((unit) => observeUnit(place, directory, unit)));
  return {
    name: label.name,
    address: label.address,
    lineage: label.lineage,
    generation: label.generation,
    hasData: listDir(paths.data).length > 0,
    freeBytes: freeBytesAt(paths.data),
    units: units.flat(),
  };
}

function tasksOf({ supervisor, systemRoot }: Place, paths: UnitPaths): UnitTasks {
  const copies = new UnitCopies(paths, systemRoot);
  return new UnitTasks(paths, supervisor, (path) => copies.pathOf(path));
}

async function observeUnit(place: Place, directory: string, unit: string): Promise<ObservedUnit[]> {
  const { root, supervisor } = place;
  const paths = unitPaths(root, directory, unit);
  const record = readUnitRecord(paths);
  if (record?.program.kind === "none") return [observedFiles(record, paths, place)];
  const running = await supervisor.find(paths);
  if (record === null && running === null) return [];
  return [
    {
      name: unit,
      running: running !== null,
      pid: running?.pid ?? null,
      definitionDigest: record === null ? "" : await digestFound(place, paths, record),
      ...(record?.artifact === undefined ? {} : { artifact: record.artifact }),
    },
  ];
}

/** Another one where its files, or its definition at what supervises it, were changed by others. */
async function digestFound({ supervisor, systemRoot }: Place, paths: UnitPaths, record: UnitRecord): Promise<string> {
  const digest = observedDigest(paths, record, new UnitCopies(paths, systemRoot));
  return (await supervisor.isAltered(paths)) ? contentDigest(`${digest} altered`) : digest;
}

/** A unit of files is there or not: nothing of it can be down. */
function observedFiles(record: UnitRecord, paths: UnitPaths, place: Place): ObservedUnit {
  const copies = new UnitCopies(paths, place.systemRoot);
  const tasks = tasksOf(place, paths).begun();
  const present = (record.watches ?? []).filter((path) => existsSync(copies.pathOf(path)));
  return {
    name: record.name,
    running: true,
    pid: null,
    definitionDigest: observedDigest(paths, record, copies),
    ...(present.length === 0 ? {} : { present }),
    ...(tasks.length === 0 ? {} : { tasks }),
  };
}

async function startUnit(
  { root, programsDir, supervisor, systemRoot }: Place,
  machine: MachineRef,
  unit: UnitDefinition,
): Promise<{ readonly pid: number | null }> {
  const directory = dirOf(root, machine);
  if (readLabel(root, directory) === null) {
    throw new HaplanError(
      "provider/no-machine",
      `Cannot start unit "${unit.name}": there is no machine "${directory}"`,
    );
  }
  const paths = unitPaths(root, directory, unit.name);
  const dataDir = machinePaths(root, directory).data;
  const fillIn = createFillIn(paths, dataDir);
  const copies = new UnitCopies(paths, systemRoot);
  if (unit.program.kind === "none") {
    // No process reads them, and no user but the one that writes them.
    writeUnitFiles(paths, unit, { fillIn, owner: null, copies });
    return { pid: null };
  }
  const executable = findExecutable(unit.program, unit.artifact?.programsDir ?? programsDir);
  if (executable === null) {
    throw new HaplanError(
      "provider/program-missing",
      `Cannot start "${unit.program.command}": the program does not exist`,
    );
  }
  const record = readUnitRecord(paths);
  const command = commandOf(executable, unit, fillIn);
  const running = await supervisor.find(paths);
  const isInForce = record !== null && running !== null && isOfVersion(record, unit);
  const request = { ...command, program: unit.program, listens: unit.listens, dataDir };
  const isAltered = isInForce && (await supervisor.isAltered(paths));
  if (isAltered) await supervisor.redefine(paths, { ...request, isUp: null });
  // It may have been started again with another definition.
  const keepsProcess = isInForce && (!isAltered || isRunAs(running.pid, command));
  if (keepsProcess && observedDigest(paths, record, copies) === unitDigest(unit)) return { pid: running.pid };
  if (unit.routerId !== undefined) assertRouterIdFree(root, unit.routerId);
  await checkUnitFiles(paths, unit, executable, (files) => createFillIn({ files }, dataDir));
  if (keepsProcess) {
    if (unit.reload !== undefined && record.restartDigest === unitRestartDigest(unit)) {
      forgetFormer(paths);
      const present = record.command ?? command;
      writeUnitFiles(paths, unit, { command: present, fillIn, owner: await supervisor.prepare(root), copies });
      if (unit.reload.signal !== null) await supervisor.reload(paths, unit.reload.signal);
      return { pid: running.pid };
    }
  }
  if (record !== null) keepFormer(paths, record, unit, command);
  await supervisor.stop(paths, restartGraceMs);
  makeDirDurably(dataDir);
  const owner = await supervisor.prepare(root);
  if (owner !== null) chownSync(dataDir, owner.userId, owner.groupId);
  writeUnitFiles(paths, unit, { command, fillIn, owner, copies });
  return await start(supervisor, paths, request);
}

async function restoreMachineData(
  { root, programsDir, supervisor }: Place,
  machine: MachineRef,
  request: RestoreDataRequest,
  artifact: LocalProviderOptions["artifact"],
): Promise<void> {
  const directory = dirOf(root, machine);
  if (readLabel(root, directory) === null)
    throw new HaplanError("provider/no-machine", `Cannot restore data: there is no machine "${directory}"`);
  const running = await supervisor.find(unitPaths(root, directory, agentUnitName));
  if (running !== null)
    throw new HaplanError("provider/unit-runs", `Cannot restore the data of "${directory}": its agent runs`);
  await restoreData({
    paths: machinePaths(root, directory),
    request,
    programsDir: request.programsDir ?? (await artifact?.())?.programsDir ?? programsDir,
    owner: await supervisor.prepare(root),
  });
}

async function withVersion(unit: UnitDefinition, artifact: LocalProviderOptions["artifact"]): Promise<UnitDefinition> {
  if (artifact === undefined || unit.program.kind !== "haplan") return unit;
  return { ...unit, artifact: await artifact() };
}

function commandOf({ file, leadingArguments, program }: Executable, unit: UnitDefinition, fillIn: FillIn): UnitCommand {
  return {
    program,
    file,
    arguments: [...leadingArguments, ...unit.arguments.map(fillIn)],
    environment: Object.fromEntries(Object.entries(unit.environment).map(([name, value]) => [name, fillIn(value)])),
    reloadSignal: unit.reload?.signal ?? null,
    capabilities: unit.capabilities ?? [],
  };
}

async function start(
  supervisor: Supervisor,
  paths: UnitPaths,
  request: Omit<ProcessRequest, "isUp">,
): Promise<{ readonly pid: number }> {
  const { pid } = await supervisor.start(paths, { ...request, isUp: listenCheck(request.listens) });
  return { pid };
}

/** A version that neither side knows is taken for the same. */
function isOfVersion(record: UnitRecord, { artifact }: UnitDefinition): boolean {
  return artifact === undefined || record.artifact === artifact.name;
}

async function revertUnit(
  { root, supervisor, systemRoot }: Place,
  paths: UnitPaths,
): Promise<{ readonly pid: number }> {
  const { record, command, files } = readFormer(paths);
  const present = readUnitRecord(paths);
  const running = await supervisor.find(paths);
  const copies = new UnitCopies(paths, systemRoot);
  const isBack = present !== null && observedDigest(paths, present, copies) === record.digest;
  if (running !== null && isBack && present.artifact === record.artifact) return { pid: running.pid };
  await supervisor.stop(paths, restartGraceMs);
  writeRecordedFiles(paths, record, { files, owner: await supervisor.prepare(root), copies });
  const dataDir = machinePaths(root, paths.machine).data;
  return await start(supervisor, paths, { ...command, program: record.program, listens: record.listens, dataDir });
}

async function removeUnit({ root, supervisor, systemRoot }: Place, paths: UnitPaths): Promise<void> {
  new UnitCopies(paths, systemRoot).remove();
  await supervisor.stop(paths, restartGraceMs);
  await supervisor.remove(paths);
  rmSync(paths.directory, { recursive: true, force: true });
  const machine = machinePaths(root, paths.machine);
  if (listDir(machine.directory).includes("units")) syncDir(machine.units);
}

async function destroyMachine(place: Place, machine: MachineRef): Promise<void> {
  const { root, supervisor } = place;
  const left = await orphans(place);
  const directories = typeof machine === "string" ? allDirs(root, machine, left) : [dirOf(root, machine)];
  for (const directory of directories) await destroyDir(place, directory, left);
  await supervisor.leave(root);
  if (machineDirs(root).length === 0) rmSync(artifactsDir(root), { recursive: true, force: true });
}

async function destroyDir(
  { root, supervisor, systemRoot }: Place,
  directory: string,
  left: Awaited<ReturnType<Supervisor["units"]>>,
): Promise<void> {
  const orphaned = left.filter((each) => each.machine === directory);
  const units = [...new Set([...listDir(machinePaths(root, directory).units), ...orphaned.map(({ unit }) => unit)])];
  await Promise.all(
    units.map(async (unit) => {
      const paths = unitPaths(root, directory, unit);
      new UnitCopies(paths, systemRoot).remove();
      await supervisor.stop(paths, restartGraceMs);
      await supervisor.remove(paths);
    }),
  );
  removeMachineDir(root, directory);
}

/** Also one that was never labeled, and missing ones with running processes. */
function allDirs(root: string, name: string, left: readonly { readonly machine: string }[]): readonly string[] {
  const labeled = dirsOf(root, name).map(({ directory }) => directory);
  const orphaned = left.map(({ machine }) => machine).filter((directory) => machineOfDir(directory) === name);
  const unlabeled = readLabel(root, name) === null ? [name] : [];
  return [...new Set([...unlabeled, ...labeled, ...orphaned])];
}

function readIfExists(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}
