/** The logs of the units of a machine, in the order of time. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { LogEvent, LogRequest } from "../log-entry.ts";
import { mergeLogs } from "../merge-logs.ts";
import type { MachineRef } from "../provider.ts";
import type { LocalPlace } from "./local-place.ts";
import { dirOf, listDir, machinePaths, readLabel, unitPaths } from "./machine-dir.ts";

export async function* machineLogs(
  { root, supervisor }: LocalPlace,
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
