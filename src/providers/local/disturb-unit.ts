/**
 * Faults of a drill on a unit's process. Each one is done and ended by a shell of its own, which outlives haplan: nothing stays
 * paused or stopped, whenever haplan is killed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitFault } from "../provider.ts";
import type { UnitPaths } from "./machine-dir.ts";
import { unitMarker } from "./process-table.ts";
import { readUnitRecord, type UnitCommand } from "./unit-files.ts";
import { findUnitProcess, inheritedEnvironment, signalProcess } from "./unit-process.ts";

/** SIGTERM to the shell ends the pause, and so does the end of its time. */
const pauseScript = 'trap "kill -CONT $1; exit" TERM INT HUP; kill -STOP $1; echo; sleep $2 & wait; kill -CONT $1';

/** A process that ends in its own time; it is killed when that takes longer than haplan's own restarts do. */
const restartScript =
  'pid=$1; shift; kill -TERM $pid; echo; n=0; while kill -0 $pid 2>/dev/null; do n=$((n+1)); [ $n -lt 300 ] || kill -KILL $pid; sleep 0.05; done; exec "$@"';

/** @throws HaplanError `provider/not-running`, or `provider/not-restartable` */
export async function disturbUnit(paths: UnitPaths, fault: UnitFault): Promise<void> {
  const running = findUnitProcess(paths);
  if (running === null) throw new HaplanError("provider/not-running", `${paths.unit} of ${paths.machine} does not run`);
  if (fault.kind === "resume") return signalProcess(running, "SIGCONT");
  if (fault.kind === "pause")
    return await beginsAlone(
      [pauseScript, "haplan-drill", String(running.pid), String(fault.forMs / 1000)],
      "ignore",
      "/",
    );
  const { command } = readUnitRecord(paths) ?? {};
  if (command === undefined)
    throw new HaplanError(
      "provider/not-restartable",
      `The command of ${paths.unit} of ${paths.machine} is not known: an earlier version of haplan has started it`,
    );
  const log = openSync(paths.log, "a", 0o600);
  try {
    await beginsAlone(
      [restartScript, "haplan-drill", String(running.pid), ...restartWords(paths, command)],
      log,
      paths.files,
    );
  } finally {
    closeSync(log);
  }
}

/** The shell itself must not look like the unit's process, so that the marker comes with the command. */
function restartWords({ directory }: UnitPaths, command: UnitCommand): readonly string[] {
  const environment = { ...inheritedEnvironment(), ...command.environment, [unitMarker]: directory };
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return ["env", "-i", ...variables, "sh", "-c", 'exec "$@" >&2', "sh", command.file, ...command.arguments];
}

/** Resolves once the fault has begun. */
async function beginsAlone(words: readonly string[], log: number | "ignore", cwd: string): Promise<void> {
  const shell = spawn("/bin/sh", ["-c", ...words], { cwd, detached: true, stdio: ["ignore", "pipe", log] });
  shell.unref();
  await Promise.race([...(shell.stdout === null ? [] : [once(shell.stdout, "data")]), once(shell, "exit")]);
  shell.stdout?.destroy();
}
