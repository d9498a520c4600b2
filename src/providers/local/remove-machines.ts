/** Removes units and machines with everything on them. */

import { rmSync } from "node:fs";
import { syncDir } from "../../base/durable-file.ts";
import type { MachineRef } from "../provider.ts";
import type { Supervisor } from "../supervisor.ts";
import { type LocalPlace, restartGraceMs } from "./local-place.ts";
import {
  artifactsDir,
  dirOf,
  dirsOf,
  listDir,
  machineDirs,
  machineOfDir,
  machinePaths,
  readLabel,
  removeMachineDir,
  type UnitPaths,
  unitPaths,
} from "./machine-dir.ts";
import { orphans } from "./observe-machines.ts";
import { UnitCopies } from "./unit-copies.ts";

export async function removeUnit({ root, supervisor, systemRoot }: LocalPlace, paths: UnitPaths): Promise<void> {
  new UnitCopies(paths, systemRoot).remove();
  await supervisor.stop(paths, restartGraceMs);
  await supervisor.remove(paths);
  rmSync(paths.directory, { recursive: true, force: true });
  const machine = machinePaths(root, paths.machine);
  if (listDir(machine.directory).includes("units")) syncDir(machine.units);
}

export async function destroyMachine(place: LocalPlace, machine: MachineRef): Promise<void> {
  const { root, supervisor } = place;
  const left = await orphans(place);
  const directories = typeof machine === "string" ? allDirs(root, machine, left) : [dirOf(root, machine)];
  for (const directory of directories) await destroyDir(place, directory, left);
  await supervisor.leave(root);
  if (machineDirs(root).length === 0) rmSync(artifactsDir(root), { recursive: true, force: true });
}

export async function destroyDir(
  { root, supervisor, systemRoot }: LocalPlace,
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
