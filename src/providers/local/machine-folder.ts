/**
 * A local machine is a folder. Its label file says whose it is, so that it is found again when the state is lost:
 *
 *     machines/m1/machine.json             label: lineage, name, generation, address, zone
 *     machines/m1/data/                    the agent's data
 *     machines/m1/units/agent/unit.json    what runs: digests, program, arguments; no contents of files
 *     machines/m1/units/agent/files/       the unit's files, @UNIT@
 *     machines/m1/units/agent/process.json pid and start time
 *     machines/m1/units/agent/unit.log     its stdout and stderr
 *
 * A machine that is made while another one has its name is a folder with its generation: machines/m1@2. One that is renamed
 * keeps its folder, which its processes use: the label says its name.
 */
import { readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeFolderDurably, syncFolder, writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import type { MachineIdentity, MachineRef } from "../provider.ts";

export type MachinePaths = {
  readonly folder: string;
  readonly label: string;
  readonly data: string;
  readonly units: string;
};

export type UnitPaths = {
  readonly folder: string;
  readonly record: string;
  readonly files: string;
  readonly process: string;
  readonly log: string;
};

export function machinePaths(root: string, machine: string): MachinePaths {
  assertFolderName("machine", machine);
  const folder = join(root, "machines", machine);
  return { folder, label: join(folder, "machine.json"), data: join(folder, "data"), units: join(folder, "units") };
}

export function unitPaths(root: string, machine: string, unit: string): UnitPaths {
  assertFolderName("unit", unit);
  const folder = join(machinePaths(root, machine).units, unit);
  return {
    folder,
    record: join(folder, "unit.json"),
    files: join(folder, "files"),
    process: join(folder, "process.json"),
    log: join(folder, "unit.log"),
  };
}

/** Whose a unit's folder is: the cluster's folder, the names of machine and unit; null for any other path. */
export function placeOfUnit(
  unitFolder: string,
): { readonly root: string; readonly machine: string; readonly unit: string } | null {
  const [, root, machine, unit] = /^(.+)\/machines\/([^/]+)\/units\/([^/]+)$/.exec(unitFolder) ?? [];
  return root === undefined || machine === undefined || unit === undefined ? null : { root, machine, unit };
}

/** Names become folders: they must not lead out of their parent. */
function assertFolderName(what: string, name: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(@\d+)?$/.test(name)) return;
  throw new HaplanError("provider/bad-name", `Cannot use "${name}" as the name of a ${what}: it is not a file name`);
}

/** All machine folders, whatever cluster they belong to. */
export function machineFolders(root: string): string[] {
  return listFolder(join(root, "machines")).filter((name) => /^[A-Za-z0-9_]/.test(name));
}

/** Null when there is no machine, or a folder that was never labelled. */
export function readLabel(root: string, folder: string): MachineIdentity | null {
  return readJson<MachineIdentity>(machinePaths(root, folder).label);
}

/** The name of the machine that this folder was made for, when it has no label any more. */
export function machineOfFolder(folder: string): string {
  return folder.split("@")[0]!;
}

type LabelledFolder = { readonly folder: string; readonly label: MachineIdentity };

/** The folders of all machines of this name, the newest first. */
export function foldersOf(root: string, name: string): readonly LabelledFolder[] {
  assertFolderName("machine", name);
  return machineFolders(root)
    .flatMap((folder) => {
      const label = readLabel(root, folder);
      return label?.name === name ? [{ folder, label }] : [];
    })
    .sort((a, b) => b.label.generation - a.label.generation);
}

/** The folder of a machine; that of its name when there is none. */
export function folderOf(root: string, machine: MachineRef): string {
  if (typeof machine === "string") return foldersOf(root, machine)[0]?.folder ?? machine;
  const { name, generation } = machine;
  return foldersOf(root, name).find(({ label }) => label.generation === generation)?.folder ?? `${name}@${generation}`;
}

/**
 * Makes the folder and labels it; does nothing when it is there already. `beside`: the generation that stays meanwhile.
 * @throws HaplanError `provider/machine-taken` when a machine of any other lineage or generation has the name.
 */
export function createMachineFolder(root: string, machine: MachineIdentity, beside: number | undefined): void {
  const present = foldersOf(root, machine.name);
  for (const { folder, label } of present) checkNotTaken(root, machine, beside, folder, label);
  const own = present.find(({ label }) => label.generation === machine.generation)?.folder;
  const free = readLabel(root, machine.name) === null;
  const paths = machinePaths(root, own ?? (free ? machine.name : `${machine.name}@${machine.generation}`));
  makeFolderDurably(paths.folder);
  // The label comes first: whatever a crash leaves behind can be told to be ours.
  writeFileDurably(paths.label, `${JSON.stringify(machine, null, 2)}\n`);
  makeFolderDurably(paths.data);
  makeFolderDurably(paths.units);
}

/** The label is one file: before the change of it, the machine has the one name, and after it the other. */
export function renameMachineFolders(root: string, from: string, to: string): void {
  const taken = foldersOf(root, to);
  for (const { folder, label } of foldersOf(root, from)) {
    if (taken.length > 0) {
      throw new HaplanError(
        "provider/machine-taken",
        `Cannot rename machine "${from}" to "${to}": there is a machine "${to}"`,
      );
    }
    assertFolderName("machine", to);
    writeFileDurably(machinePaths(root, folder).label, `${JSON.stringify({ ...label, name: to }, null, 2)}\n`);
  }
}

function checkNotTaken(
  root: string,
  machine: MachineIdentity,
  beside: number | undefined,
  folder: string,
  present: MachineIdentity,
): void {
  if (present.lineage !== machine.lineage) {
    throw new HaplanError(
      "provider/machine-taken",
      `Cannot create machine "${machine.name}": "${machinePaths(root, folder).folder}" belongs to another cluster (lineage ${present.lineage})`,
    );
  }
  if (present.generation !== machine.generation && present.generation !== beside) {
    throw new HaplanError(
      "provider/machine-taken",
      `Cannot create machine "${machine.name}" of generation ${machine.generation}: generation ${present.generation} is still there`,
    );
  }
}

/** Removes everything, the label last, and the folder of machines when it was the last one. */
export function removeMachineFolder(root: string, machine: string): void {
  const paths = machinePaths(root, machine);
  for (const entry of listFolder(paths.folder)) {
    if (join(paths.folder, entry) !== paths.label) rmSync(join(paths.folder, entry), { recursive: true, force: true });
  }
  rmSync(paths.folder, { recursive: true, force: true });
  const parent = join(root, "machines");
  try {
    if (listFolder(parent).length > 0) syncFolder(parent);
    else rmdirSync(parent);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

export function listFolder(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}

/** Null when the file is not there. @throws HaplanError `provider/damaged-file` when it is no JSON. */
export function readJson<T>(path: string): T | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new HaplanError("provider/damaged-file", `Cannot read "${path}": it holds no JSON`, { cause: error });
  }
}
