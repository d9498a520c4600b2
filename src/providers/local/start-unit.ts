/** Makes a unit run with exactly one definition: the wanted one, or the one that it had before an upgrade. */

import { makeDirDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitDefinition } from "../../units/unit-definition.ts";
import type { MachineRef } from "../provider.ts";
import type { ProcessRequest, Supervisor } from "../supervisor.ts";
import { unitDigest, unitRestartDigest } from "../unit-digest.ts";
import { checkUnitFiles } from "./check-unit-files.ts";
import { giveTo, pathsOfOthers } from "./data-owner.ts";
import { forgetFormer, keepFormer, readFormer } from "./former-unit.ts";
import { listenCheck } from "./listening-sockets.ts";
import { type LocalPlace, restartGraceMs } from "./local-place.ts";
import { dirOf, machinePaths, readLabel, type UnitPaths, unitPaths } from "./machine-dir.ts";
import { missingPrograms } from "./missing-programs.ts";
import { makeOutsideDir } from "./outside-dir.ts";
import { isRunAs } from "./process-table.ts";
import { type Executable, findExecutable } from "./programs.ts";
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

export async function startUnit(
  { root, programsDir, supervisor, systemRoot }: LocalPlace,
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
  repairOwner(supervisor, dataDir);
  const record = readUnitRecord(paths);
  const command = commandOf(executable, unit, fillIn);
  const running = await supervisor.find(paths);
  const isInForce = record !== null && running !== null && isOfVersion(record, unit);
  const request = { ...command, program: unit.program, listens: unit.listens, dataDir };
  // The same version may be in another directory by now.
  const isMoved = isInForce && missingPrograms(record).length > 0;
  const isAltered = isMoved || (isInForce && (await supervisor.changedFiles(paths)).length > 0);
  if (isAltered) await supervisor.redefine(paths, { ...request, isUp: null });
  // It may have been started again with another definition.
  const keepsProcess = isInForce && (!isAltered || isRunAs(running.pid, (isMoved ? record.command : null) ?? command));
  if (keepsProcess && observedDigest(paths, record, copies) === unitDigest(unit)) {
    if (isMoved) writeUnitFiles(paths, unit, { command, fillIn, owner: await supervisor.prepare(root), copies });
    return { pid: running.pid };
  }
  if (unit.routerId !== undefined) assertRouterIdFree(root, unit.routerId);
  await checkUnitFiles(paths, unit, executable, (files) => createFillIn({ files }, dataDir));
  if (keepsProcess) {
    if (unit.reload !== undefined && record.restartDigest === unitRestartDigest(unit)) {
      forgetFormer(paths);
      const present = isMoved ? command : (record.command ?? command);
      writeUnitFiles(paths, unit, { command: present, fillIn, owner: await supervisor.prepare(root), copies });
      if (unit.reload.signal !== null) await supervisor.reload(paths, unit.reload.signal);
      return { pid: running.pid };
    }
  }
  const owner = await supervisor.prepare(root);
  // Before anything stops.
  for (const outside of unit.directories ?? []) makeOutsideDir(outside, owner);
  if (record !== null) keepFormer(paths, record, unit, command);
  await supervisor.stop(paths, restartGraceMs);
  makeDirDurably(dataDir);
  // It was made just now; or the host was made anew around its data, and the user has another id.
  if (owner !== null) giveTo(dataDir, owner);
  writeUnitFiles(paths, unit, { command, fillIn, owner, copies });
  return await start(supervisor, paths, request);
}

/** Its process does not have to start again for it, but could not. */
function repairOwner(supervisor: Supervisor, dataDir: string): void {
  const owner = supervisor.owner();
  if (owner !== null && pathsOfOthers(dataDir, owner).length > 0) giveTo(dataDir, owner);
}

function commandOf({ file, leadingArguments, program }: Executable, unit: UnitDefinition, fillIn: FillIn): UnitCommand {
  return {
    program,
    file,
    arguments: [...leadingArguments, ...unit.arguments.map(fillIn)],
    environment: Object.fromEntries(Object.entries(unit.environment).map(([name, value]) => [name, fillIn(value)])),
    reloadSignal: unit.reload?.signal ?? null,
    capabilities: unit.capabilities ?? [],
    ...(unit.directories === undefined ? {} : { directories: unit.directories }),
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

export async function revertUnit(
  { root, supervisor, systemRoot }: LocalPlace,
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
