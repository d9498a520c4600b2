/**
 * A local machine is a directory. Its label file identifies its cluster, so that it is found again if the state is
 * lost:
 *
 *     machines/m1/machine.json             label: lineage, name, generation, address, zone
 *     machines/m1/data/                    the agent's data
 *     machines/m1/units/agent/unit.json    what runs: digests, program, arguments; no contents of files
 *     machines/m1/units/agent/files/       the unit's files, @UNIT@
 *     machines/m1/units/agent/process.json pid and start time
 *     machines/m1/units/agent/unit.log     its stdout and stderr
 *  A machine that is created while another one has its name is a directory with its generation: machines/m1@2. A
 * renamed one keeps its directory, which its processes use: the label has its name.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeDirDurably, syncDir, writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { assertDirName } from "../dir-name.ts";
import type { MachineIdentity, MachineRef } from "../provider.ts";
import type { UnitPlace } from "../supervisor.ts";

export type MachinePaths = {
  readonly directory: string;
  readonly label: string;
  readonly data: string;
  readonly units: string;
};

export type UnitPaths = UnitPlace & {
  readonly record: string;
  readonly process: string;
  readonly log: string;
};

export function machinePaths(root: string, machine: string): MachinePaths {
  assertDirName("machine", machine);
  const directory = join(root, "machines", machine);
  return {
    directory,
    label: join(directory, "machine.json"),
    data: join(directory, "data"),
    units: join(directory, "units"),
  };
}

export function unitPaths(root: string, machine: string, unit: string): UnitPaths {
  assertDirName("unit", unit);
  const directory = join(machinePaths(root, machine).units, unit);
  return {
    root,
    machine,
    unit,
    directory,
    record: join(directory, "unit.json"),
    files: join(directory, "files"),
    process: join(directory, "process.json"),
    log: join(directory, "unit.log"),
  };
}

/** Where a cluster's artifacts are unpacked. */
export function artifactsDir(root: string): string {
  return join(root, "artifacts");
}

/** The owner of a unit's directory: the cluster's directory, the names of machine and unit; null for any other path. */
export function placeOfUnit(
  unitDir: string,
): { readonly root: string; readonly machine: string; readonly unit: string } | null {
  const [, root, machine, unit] = /^(.+)\/machines\/([^/]+)\/units\/([^/]+)$/.exec(unitDir) ?? [];
  return root === undefined || machine === undefined || unit === undefined ? null : { root, machine, unit };
}

/** All machine directories, of any cluster. */
export function machineDirs(root: string): string[] {
  return listDir(join(root, "machines")).filter((name) => /^[A-Za-z0-9_]/.test(name));
}

/** Null if there is no machine, or a directory that was never labeled, or whose label is damaged. */
export function readLabel(root: string, directory: string): MachineIdentity | null {
  const label = readJson<Partial<MachineIdentity>>(machinePaths(root, directory).label);
  return typeof label?.name === "string" && typeof label.lineage === "string" && typeof label.generation === "number"
    ? (label as MachineIdentity)
    : null;
}

/** A label is written as a whole: one that cannot be read was damaged by something else. */
export function hasDamagedLabel(root: string, directory: string): boolean {
  return existsSync(machinePaths(root, directory).label) && readLabel(root, directory) === null;
}

/** The name of the machine that this directory was created for, if it has no label any more. */
export function machineOfDir(directory: string): string {
  return directory.split("@")[0]!;
}

type LabeledDir = { readonly directory: string; readonly label: MachineIdentity };

/** The directories of all machines of this name, the newest first. */
export function dirsOf(root: string, name: string): readonly LabeledDir[] {
  assertDirName("machine", name);
  return machineDirs(root)
    .flatMap((directory) => {
      const label = readLabel(root, directory);
      return label?.name === name ? [{ directory, label }] : [];
    })
    .sort((a, b) => b.label.generation - a.label.generation);
}

/** The directory of a machine; the one with its name if there is none. */
export function dirOf(root: string, machine: MachineRef): string {
  if (typeof machine === "string") return dirsOf(root, machine)[0]?.directory ?? machine;
  const { name, generation } = machine;
  return dirsOf(root, name).find(({ label }) => label.generation === generation)?.directory ?? `${name}@${generation}`;
}

/**
 * Creates the directory and labels it; does nothing if it exists already. `beside`: the generation that stays
 * meanwhile.
 * @throws HaplanError `provider/machine-taken` if a machine of any other lineage or generation has the name.
 */
export function createMachineDir(root: string, machine: MachineIdentity, beside: number | undefined): void {
  const present = dirsOf(root, machine.name);
  for (const { directory, label } of present) checkNotTaken(root, machine, beside, directory, label);
  const own = present.find(({ label }) => label.generation === machine.generation)?.directory;
  const free = readLabel(root, machine.name) === null;
  const paths = machinePaths(root, own ?? (free ? machine.name : `${machine.name}@${machine.generation}`));
  makeDirDurably(paths.directory);
  // The label is written first: whatever a crash leaves can be identified.
  writeFileDurably(paths.label, `${JSON.stringify(machine, null, 2)}\n`);
  makeDirDurably(paths.data);
  makeDirDurably(paths.units);
}

/** The label is one file: it has either the one name or the other. */
export function renameMachineDirs(root: string, from: string, to: string): void {
  const taken = dirsOf(root, to);
  for (const { directory, label } of dirsOf(root, from)) {
    if (taken.length > 0) {
      throw new HaplanError(
        "provider/machine-taken",
        `Cannot rename machine "${from}" to "${to}": there is a machine "${to}"`,
      );
    }
    assertDirName("machine", to);
    writeFileDurably(machinePaths(root, directory).label, `${JSON.stringify({ ...label, name: to }, null, 2)}\n`);
  }
}

function checkNotTaken(
  root: string,
  machine: MachineIdentity,
  beside: number | undefined,
  directory: string,
  present: MachineIdentity,
): void {
  if (present.lineage !== machine.lineage) {
    throw new HaplanError(
      "provider/machine-taken",
      `Cannot create machine "${machine.name}": "${machinePaths(root, directory).directory}" belongs to another cluster (lineage ${present.lineage}). Destroy that cluster where its state is, or give this machine another name`,
    );
  }
  if (present.generation !== machine.generation && present.generation !== beside) {
    throw new HaplanError(
      "provider/machine-taken",
      `Cannot create machine "${machine.name}" of generation ${machine.generation}: generation ${present.generation} still exists in "${machinePaths(root, directory).directory}". It was not seen when the plan was made: plan again, and it is kept. To have it replaced all the same, plan with -replace=haplan_machine.${machine.name}`,
    );
  }
}

/** Removes everything, the label last, and the machines' directory with the last one. */
export function removeMachineDir(root: string, machine: string): void {
  const paths = machinePaths(root, machine);
  for (const entry of listDir(paths.directory)) {
    if (join(paths.directory, entry) !== paths.label)
      rmSync(join(paths.directory, entry), { recursive: true, force: true });
  }
  rmSync(paths.directory, { recursive: true, force: true });
  const parent = join(root, "machines");
  try {
    if (listDir(parent).length > 0) syncDir(parent);
    else rmdirSync(parent);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

export function listDir(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}

/** Null if the file does not exist, or is not JSON. */
export function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    const code = systemErrorCode(error);
    if (error instanceof SyntaxError || code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}
