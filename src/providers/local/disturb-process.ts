/**
 * Faults of a drill on a unit's process. Each one is done and ended by a shell of its own, which outlives haplan: nothing stays
 * paused or stopped, whenever haplan is killed. A fault ends early when its file is removed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { writeFileDurably } from "../../base/durable-file.ts";
import { HaplanError } from "../../base/haplan-error.ts";
import type { UnitFault } from "../provider.ts";
import { readJson, type UnitPaths } from "./machine-dir.ts";
import { identifyProcess, isSameProcess, type ProcessIdentity, unitMarker } from "./process-table.ts";
import { readUnitRecord, type UnitCommand } from "./unit-files.ts";
import { findUnitProcess, inheritedEnvironment } from "./unit-process.ts";

const pollMs = 20;
/** A shell notices within a fraction of this that its file is gone. */
const endMs = 5_000;

/**
 * Waits to be told to begin: a haplan that was killed before has not written the file. One that is killed later does not read what
 * the shell says, which must not end it. A program that the shell becomes gets the default of each signal.
 */
const prologue =
  'read -r go || exit; file=$1 pid=$2 seconds=$3; shift 3; trap : PIPE; trap "rm -f \\"$file\\"" TERM INT HUP';
const untilOver =
  'echo 2>/dev/null; sleep $seconds & timer=$!; while [ -e "$file" ] && kill -0 $timer 2>/dev/null; do sleep 0.05; done';
const endTimer = "kill $timer 2>/dev/null";

const pauseScript = `${prologue}; kill -STOP $pid; ${untilOver}; kill -CONT $pid; ${endTimer}`;

/** A process that ends in its own time; it is killed when that takes longer than haplan's own restarts do. */
const end =
  "kill -TERM $pid; n=0; while kill -0 $pid 2>/dev/null; do n=$((n+1)); [ $n -lt 300 ] || kill -KILL $pid; sleep 0.05; done";
/** Nothing starts where the machine was destroyed meanwhile. The file stays: the fault is under way until the shell is the unit's process. */
const stopScript = `${prologue}; ${end}; ${untilOver}; ${endTimer}; [ -d "\${file%/*}" ] || exit; exec "$@"`;

/** Does nothing if a fault is under way. @throws HaplanError `provider/not-running`, or `provider/not-restartable` */
export async function disturbProcess(paths: UnitPaths, fault: UnitFault): Promise<void> {
  if (fault.kind === "resume") return await resume(paths);
  if (isUnderWay(paths)) return;
  const running = findUnitProcess(paths);
  if (running === null) throw new HaplanError("provider/not-running", `${paths.unit} of ${paths.machine} does not run`);
  const given = [fileOf(paths), String(running.pid), String(fault.kind === "restart" ? 0 : fault.forMs / 1000)];
  if (fault.kind === "pause") return await begin(paths, [pauseScript, "haplan-drill", ...given], "ignore");
  const { command } = readUnitRecord(paths) ?? {};
  if (command === undefined)
    throw new HaplanError(
      "provider/not-restartable",
      `The command of ${paths.unit} of ${paths.machine} is not known: an earlier version of haplan has started it`,
    );
  const log = openSync(paths.log, "a", 0o600);
  try {
    await begin(paths, [stopScript, "haplan-drill", ...given, ...startWords(paths, command)], log);
  } finally {
    closeSync(log);
  }
}

/** Returns once its shell has ended the fault: a later one has the same file. */
async function resume(paths: UnitPaths): Promise<void> {
  const shell = readJson<ProcessIdentity>(fileOf(paths));
  rmSync(fileOf(paths), { force: true });
  const deadlineMs = performance.now() + endMs;
  while (shell !== null && isAtWork(paths, shell) && performance.now() < deadlineMs) await systemClock.sleep(pollMs);
}

/** Says which shell does the fault. */
function fileOf({ directory }: UnitPaths): string {
  return join(directory, "drill.json");
}

function isUnderWay(paths: UnitPaths): boolean {
  const shell = readJson<ProcessIdentity>(fileOf(paths));
  return shell !== null && isAtWork(paths, shell);
}

/** The shell of a stop becomes the unit's process. */
function isAtWork(paths: UnitPaths, shell: ProcessIdentity): boolean {
  return isSameProcess(shell) && findUnitProcess(paths)?.pid !== shell.pid;
}

/** The shell itself must not look like the unit's process, so that the marker comes with the command. */
function startWords({ directory }: UnitPaths, command: UnitCommand): readonly string[] {
  const environment = { ...inheritedEnvironment(), ...command.environment, [unitMarker]: directory };
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return ["env", "-i", ...variables, "sh", "-c", 'exec "$@" >&2 </dev/null', "sh", command.file, ...command.arguments];
}

/** Resolves once the process is paused, or has ended. */
async function begin(paths: UnitPaths, words: readonly string[], log: number | "ignore"): Promise<void> {
  const options = { cwd: paths.files, detached: true, stdio: ["pipe", "pipe", log] } as const;
  const shell = spawn("/bin/sh", ["-c", ...words], { ...options, stdio: [...options.stdio] });
  shell.unref();
  const identity = shell.pid === undefined ? null : identifyProcess(shell.pid);
  if (identity !== null) writeFileDurably(fileOf(paths), `${JSON.stringify(identity)}\n`);
  const begun = Promise.race([once(shell.stdout!, "data"), once(shell, "exit")]);
  shell.stdin?.end("go\n");
  await begun;
  shell.stdout?.destroy();
}
