/** Units as detached processes of this machine: they outlive haplan, and nothing restarts them. */
import { rmSync } from "node:fs";
import type { Supervisor, UnitPlace } from "../supervisor.ts";
import { disturbProcess } from "./disturb-process.ts";
import { readLogFile } from "./log-file.ts";
import { placeOfUnit, unitPaths } from "./machine-dir.ts";
import { markedProcesses } from "./process-table.ts";
import { findUnitProcess, logTail, signalProcess, startProcess, stopProcess } from "./unit-process.ts";

export const detachedProcesses: Supervisor = {
  tasks: null,
  find: async (place) => findUnitProcess(pathsOf(place)),
  prepare: async () => null,
  owner: () => null,
  hasOwnUser: false,
  start: (place, request) => startProcess(pathsOf(place), { ...request, workingDir: place.files }),
  // A process is all that there is.
  changedFiles: async () => [],
  overrides: async () => [],
  redefine: async () => {},
  reload: async (place, signal) => {
    const running = findUnitProcess(pathsOf(place));
    if (running !== null) signalProcess(running, signal);
  },
  stop: (place, graceMs) => stopProcess(pathsOf(place), graceMs),
  disturb: (place, fault) => disturbProcess(pathsOf(place), fault),
  remove: async (place) => rmSync(pathsOf(place).process, { force: true }),
  runtimeDir: (place) => place.files,
  log: async (place, lines) => logTail(pathsOf(place).log, lines),
  logs: (place, selection, signal) => readLogFile(pathsOf(place).log, selection, signal),
  units: async (root) =>
    markedProcesses().flatMap(({ pid, unitDir }) => {
      const found = placeOfUnit(unitDir);
      return found === null || found.root !== root ? [] : [{ ...unitPaths(root, found.machine, found.unit), pid }];
    }),
  leave: async () => {},
};

function pathsOf({ root, machine, unit }: UnitPlace): ReturnType<typeof unitPaths> {
  return unitPaths(root, machine, unit);
}
