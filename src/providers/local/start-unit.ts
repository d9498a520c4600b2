/** Makes a unit run with exactly one definition: the wanted one, or the one that it had before an upgrade. */

import { makeDirDurably, type StagedFile } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitDefinition, UnitFile } from "../../units/unit-definition.ts";
import type { MachineRef } from "../provider.ts";
import type { ProcessRequest, Supervisor, UnitOwner } from "../supervisor.ts";
import { unitDigest, unitRestartDigest } from "../unit-digest.ts";
import { checkUnitFiles } from "./check-unit-files.ts";
import { giveTo, pathsOfOthers } from "./data-owner.ts";
import { forgetFormer, keepFormer, readFormer } from "./former-unit.ts";
import { formerUser } from "./former-user.ts";
import { listenCheck } from "./listening-sockets.ts";
import { type LocalPlace, restartGraceMs } from "./local-place.ts";
import { dirOf, machinePaths, readLabel, type UnitPaths, unitPaths } from "./machine-dir.ts";
import { missingPrograms } from "./missing-programs.ts";
import { makeOutsideDir } from "./outside-dir.ts";
import { isRunAs } from "./process-table.ts";
import { type Executable, findExecutable } from "./programs.ts";
import { assertRouterIdFree } from "./router-ids.ts";
import { beginChange, endChange, isChanging } from "./unit-change.ts";
import { UnitCopies } from "./unit-copies.ts";
import {
  createFillIn,
  type FillIn,
  observedDigest,
  openTo,
  readUnitFiles,
  readUnitRecord,
  stageRecordedFiles,
  stageUnitFiles,
  type UnitCommand,
  type UnitRecord,
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
  const record = readUnitRecord(paths);
  const command = commandOf(executable, unit, fillIn);
  const running = await supervisor.find(paths);
  const isOfUser = running === null || formerUser(supervisor, running) === null;
  // What a process of another user has is given away once it has stopped.
  if (isOfUser) repairOwner(supervisor, dataDir);
  const isInForce = record !== null && running !== null && isOfUser && !isChanging(paths) && isOfVersion(record, unit);
  const request = { ...command, program: unit.program, listens: unit.listens, dataDir };
  // The same version may be in another directory by now.
  const isMoved = isInForce && missingPrograms(record).length > 0;
  const isAltered = isMoved || (isInForce && (await supervisor.changedFiles(paths)).length > 0);
  // It may have been started again with another definition.
  const keepsProcess = isInForce && (!isAltered || isRunAs(running.pid, (isMoved ? record.command : null) ?? command));
  if (isAltered && keepsProcess) await supervisor.redefine(paths, { ...request, isUp: null });
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
  makeDirDurably(dataDir);
  const staged = stageUnitFiles(paths, unit, { command, fillIn, owner, copies });
  await replace(supervisor, { paths, staged, request, present: record, owner, copies });
  return await start(supervisor, paths, request);
}

type Replacement = {
  readonly paths: UnitPaths;
  readonly staged: StagedFile;
  readonly request: Omit<ProcessRequest, "isUp">;
  readonly present: UnitRecord | null;
  readonly owner: UnitOwner | null;
  readonly copies: UnitCopies;
};

/**
 * Puts a definition in force, and then stops the process that has the former one: a write that fails stops nothing.
 * @throws the system's error; the former definition is in force, or the unit is marked as changing
 */
async function replace(supervisor: Supervisor, replacement: Replacement): Promise<void> {
  const { paths, staged, request, present, owner } = replacement;
  const files = present === null ? null : readUnitFiles(paths, present);
  try {
    beginChange(paths);
    await supervisor.redefine(paths, { ...request, isUp: null });
    staged.commit();
  } catch (error) {
    staged.discard();
    // What cannot be undone stays marked, and the next plan has the unit as changed.
    if (files !== null) await putBack(supervisor, replacement, files).catch(() => undefined);
    throw error;
  }
  await supervisor.stop(paths, restartGraceMs);
  endChange(paths);
  if (owner === null) return;
  // It was made just now; or the user has another id than the process that has stopped, or the host was made anew around its data.
  giveTo(request.dataDir, owner);
  openTo(owner, paths);
}

async function putBack(
  supervisor: Supervisor,
  { paths, request: { dataDir }, present, owner, copies }: Replacement,
  files: readonly UnitFile[],
): Promise<void> {
  if (present?.command === undefined) return;
  const { command, program, listens } = present;
  await supervisor.redefine(paths, { ...command, program, listens, dataDir, isUp: null });
  stageRecordedFiles(paths, present, { files, owner, copies }).commit();
  endChange(paths);
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
  const owner = await supervisor.prepare(root);
  const dataDir = machinePaths(root, paths.machine).data;
  const request = { ...command, program: record.program, listens: record.listens, dataDir };
  const staged = stageRecordedFiles(paths, record, { files, owner, copies });
  await replace(supervisor, { paths, staged, request, present, owner, copies });
  return await start(supervisor, paths, request);
}
