/** The data of a machine's member: read, saved, and replaced. */
import { dirname } from "node:path";
import { makeDirDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import { agentUnitName, type UnitArtifact } from "../../units/unit-definition.ts";
import type { MachineRef } from "../provider.ts";
import type { ExportDataRequest, ReadDataRequest, RestoreDataRequest } from "../restore-data.ts";
import type { LocalPlace } from "./local-place.ts";
import { dirOf, machinePaths, readLabel, unitPaths } from "./machine-dir.ts";
import { readData } from "./read-data.ts";
import { restoreData } from "./restore-data.ts";

/** `artifact`: the version of haplan's programs that units get. */
export type DataPlace = LocalPlace & { readonly artifact: (() => Promise<UnitArtifact>) | undefined };

/** Its agent may run. `file`: what the program writes; null if it writes nothing. */
export async function readMachineData(
  place: DataPlace,
  machine: MachineRef,
  request: ReadDataRequest,
  file: string | null = null,
): Promise<string> {
  const paths = machinePaths(place.root, machineDir(place, machine, "read"));
  return await readData({ paths, request, programsDir: await programsDirOf(place, request), file });
}

export async function exportMachineData(
  place: DataPlace,
  machine: MachineRef,
  request: ExportDataRequest,
): Promise<void> {
  await assertAgentStopped(place, machineDir(place, machine, "save"), "save");
  makeDirDurably(dirname(request.file));
  await readMachineData(place, machine, request, request.file);
}

export async function restoreMachineData(
  place: DataPlace,
  machine: MachineRef,
  request: RestoreDataRequest,
): Promise<void> {
  const directory = machineDir(place, machine, "restore");
  await assertAgentStopped(place, directory, "restore");
  await restoreData({
    paths: machinePaths(place.root, directory),
    request,
    programsDir: await programsDirOf(place, request),
    owner: await place.supervisor.prepare(place.root),
  });
}

function machineDir({ root }: DataPlace, machine: MachineRef, verb: string): string {
  const directory = dirOf(root, machine);
  if (readLabel(root, directory) !== null) return directory;
  throw new HaplanError("provider/no-machine", `Cannot ${verb} data: there is no machine "${directory}"`);
}

async function assertAgentStopped({ root, supervisor }: DataPlace, directory: string, verb: string): Promise<void> {
  if ((await supervisor.find(unitPaths(root, directory, agentUnitName))) === null) return;
  throw new HaplanError("provider/unit-runs", `Cannot ${verb} the data of "${directory}": its agent runs`);
}

async function programsDirOf(
  { programsDir, artifact }: DataPlace,
  request: { readonly programsDir?: string },
): Promise<string> {
  return request.programsDir ?? (await artifact?.())?.programsDir ?? programsDir;
}
