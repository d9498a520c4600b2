/** Finds the machines of this machine, and what runs on them. */

import { existsSync } from "node:fs";
import { errorText, HaplanError } from "../../base/haplan-error.ts";
import type { ObservedMachine, ObservedUnit, UnreachableMachine } from "../../plan/observed-cluster.ts";
import { initialClusterIn } from "../../units/initial-cluster.ts";
import { agentUnitName, virtualAddressUnitName } from "../../units/unit-definition.ts";
import type { FoundMachines, MachineIdentity } from "../provider.ts";
import type { RunningUnit, Supervisor } from "../supervisor.ts";
import { pathsOfOthers } from "./data-owner.ts";
import { formerUser } from "./former-user.ts";
import { freeBytesAt } from "./free-space.ts";
import { keepalivedConfigOf, virtualAddressesIn } from "./keepalived-config.ts";
import { type LocalPlace, tasksOf } from "./local-place.ts";
import {
  hasDamagedLabel,
  listDir,
  machineDirs,
  machineOfDir,
  machinePaths,
  readLabel,
  type UnitPaths,
  unitPaths,
} from "./machine-dir.ts";
import { memberData } from "./member-data.ts";
import { missingPrograms } from "./missing-programs.ts";
import { ownerOfProcess } from "./process-table.ts";
import { UnitCopies } from "./unit-copies.ts";
import { changedUnitFiles, digestWith, readUnitRecord, type UnitRecord } from "./unit-files.ts";

export async function observeMachines(
  place: LocalPlace,
  lineage: string | null,
  names: readonly string[],
): Promise<FoundMachines> {
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
export async function orphans({ root, supervisor }: LocalPlace): Promise<Awaited<ReturnType<Supervisor["units"]>>> {
  const isThere = (machine: string): boolean => readLabel(root, machine) !== null || hasDamagedLabel(root, machine);
  return (await supervisor.units(root)).filter(({ machine }) => !isThere(machine));
}

async function observeMachine(place: LocalPlace, directory: string, label: MachineIdentity): Promise<ObservedMachine> {
  const paths = machinePaths(place.root, directory);
  const units = (await Promise.all(listDir(paths.units).map((unit) => observeUnit(place, directory, unit)))).flat();
  const isOverridden = units.some(({ name, overrides }) => name === agentUnitName && overrides !== undefined);
  return {
    name: label.name,
    address: label.address,
    lineage: label.lineage,
    generation: label.generation,
    ...memberData(paths.data, isOverridden),
    freeBytes: freeBytesAt(paths.data),
    units,
  };
}

async function observeUnit(place: LocalPlace, directory: string, unit: string): Promise<ObservedUnit[]> {
  const { root, supervisor } = place;
  const paths = unitPaths(root, directory, unit);
  const record = readUnitRecord(paths);
  if (record?.program.kind === "none") return [observedFiles(record, paths, place)];
  const running = await supervisor.find(paths);
  if (record === null && running === null) return [];
  const overrides = await supervisor.overrides(paths);
  const user = running === null ? null : formerUser(supervisor, running);
  const changedFiles = record === null ? [] : await changedFilesOf(place, paths, record, running);
  // They may say whom it runs as.
  const isOfFormer = user !== null && overrides.length === 0;
  const differences = isOfFormer ? [...changedFiles, "user"] : changedFiles;
  return [
    {
      name: unit,
      running: running !== null,
      pid: running?.pid ?? null,
      definitionDigest: record === null ? "" : digestWith(paths, record, differences),
      ...(changedFiles.length === 0 ? {} : { changedFiles }),
      ...(isOfFormer ? { formerUser: user } : {}),
      ...(overrides.length === 0 ? {} : { overrides }),
      ...(record?.artifact === undefined ? {} : { artifact: record.artifact }),
      ...(unit === virtualAddressUnitName ? heldAddress(paths) : {}),
      ...(unit === agentUnitName ? startedWith(record) : {}),
    },
  ];
}

/** keepalived has one address; a file that others changed may have none or more, of which none is told. */
function heldAddress(paths: UnitPaths): Pick<ObservedUnit, "virtualAddress"> {
  const [address, ...more] = virtualAddressesIn(keepalivedConfigOf(paths));
  return address === undefined || more.length > 0 ? {} : { virtualAddress: address };
}

function startedWith(record: UnitRecord | null): Pick<ObservedUnit, "initialCluster" | "arguments"> {
  if (record?.command === undefined) return {};
  const own = record.command.arguments;
  const found = initialClusterIn(own);
  return { arguments: own, ...(found === null ? {} : { initialCluster: found }) };
}

/** Its files, those that define it at what supervises it, and its programs. */
async function changedFilesOf(
  { supervisor, systemRoot }: LocalPlace,
  paths: UnitPaths,
  record: UnitRecord,
  running: RunningUnit | null,
): Promise<readonly string[]> {
  const own = changedUnitFiles(paths, record, new UnitCopies(paths, systemRoot));
  const programs = missingPrograms(record);
  return [...own, ...(await supervisor.changedFiles(paths)), ...programs, ...dataOfOthers(supervisor, paths, running)];
}

/** Its member could not go on, or start again: what belongs to another user than its process runs as counts as changed. */
function dataOfOthers(
  supervisor: Supervisor,
  { root, machine, unit }: UnitPaths,
  running: RunningUnit | null,
): readonly string[] {
  if (!supervisor.hasOwnUser) return [];
  const owner = (running === null ? null : ownerOfProcess(running.pid)) ?? supervisor.owner();
  return owner === null || unit !== agentUnitName ? [] : pathsOfOthers(machinePaths(root, machine).data, owner);
}

/** A unit of files is there or not: nothing of it can be down. */
function observedFiles(record: UnitRecord, paths: UnitPaths, place: LocalPlace): ObservedUnit {
  const copies = new UnitCopies(paths, place.systemRoot);
  const changedFiles = changedUnitFiles(paths, record, copies);
  const tasks = tasksOf(place, paths).begun();
  const present = (record.watches ?? []).filter((path) => existsSync(copies.pathOf(path)));
  return {
    name: record.name,
    running: true,
    pid: null,
    definitionDigest: digestWith(paths, record, changedFiles),
    ...(changedFiles.length === 0 ? {} : { changedFiles }),
    ...(present.length === 0 ? {} : { present }),
    ...(tasks.length === 0 ? {} : { tasks }),
  };
}
