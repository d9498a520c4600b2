/**
 * A unit's process: started in a session of its own so that it outlives the tool, found again through its pid file or,
 * after a crash between starting and writing that file, through the marker in its environment, and never confused with
 * another process that has the same pid.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { systemClock } from "../../base/clock.ts";
import { writeFileDurably } from "../../base/durable-file.ts";
import { errorText, HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { type ProcessRequest, watchMs } from "../supervisor.ts";
import { readJson, type UnitPaths } from "./machine-dir.ts";
import { identifyProcess, isSameProcess, type ProcessIdentity, processesOfUnit, unitMarker } from "./process-table.ts";

type DetachedRequest = Pick<ProcessRequest, "file" | "arguments" | "environment" | "isUp"> & {
  readonly workingDir: string;
};

const pollMs = 20;
const logBytesMax = 16 * 1024 * 1024;

/** The unit's live process, or null. */
export function findUnitProcess(paths: UnitPaths): ProcessIdentity | null {
  const recorded = readJson<ProcessIdentity>(paths.process);
  if (recorded !== null && isSameProcess(recorded)) return recorded;
  return processesOfUnit(paths.directory)[0] ?? null;
}

/**
 * Starts the process and returns once it listens or has run for a moment.
 * @throws HaplanError `provider/unit-exited` with the last lines of its log.
 */
export async function startProcess(paths: UnitPaths, request: DetachedRequest): Promise<ProcessIdentity> {
  rotateLog(paths.log);
  const subprocess = spawnDetached(paths, request);
  const end = new Promise<string>((resolve) => {
    subprocess.once("error", (error) => resolve(`failed: ${errorText(error)}`));
    subprocess.once("exit", (code, signal) =>
      resolve(code === null ? `was killed by ${signal}` : `exited with exit code ${code}`),
    );
  });
  subprocess.unref();
  const identity = subprocess.pid === undefined ? null : identifyProcess(subprocess.pid);
  if (identity !== null) writeFileDurably(paths.process, `${JSON.stringify(identity)}\n`);
  await Promise.race([end, awaitUp(identity, request.isUp)]);
  if (identity !== null && isSameProcess(identity)) return identity;
  // The exit event comes a moment after the process is gone.
  const ending = await Promise.race([end, systemClock.sleep(1000)]);
  rmSync(paths.process, { force: true });
  throw new HaplanError(
    "provider/unit-exited",
    `Cannot start "${request.file}": it ${ending ?? "exited"}\n${logTail(paths.log, 10)}`.trimEnd(),
  );
}

function spawnDetached(paths: UnitPaths, request: DetachedRequest): ChildProcess {
  const log = openSync(paths.log, "a", 0o600);
  try {
    return spawn(request.file, request.arguments, {
      cwd: request.workingDir,
      // Only the environment that programs need to run at all: no secrets leak, no proxy interferes.
      env: { ...inheritedEnvironment(), ...request.environment, [unitMarker]: paths.directory },
      detached: true,
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
}

/** Without secrets and proxies of the caller. */
export function inheritedEnvironment(): Record<string, string> {
  const names = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

async function awaitUp(identity: ProcessIdentity | null, isUp: ProcessRequest["isUp"]): Promise<void> {
  if (identity === null) return;
  const deadline = performance.now() + (isUp === null ? watchMs.withoutListeners : watchMs.withListeners);
  while (performance.now() < deadline && isSameProcess(identity)) {
    if (isUp?.()) return;
    await systemClock.sleep(pollMs);
  }
}

/** Signals the process to reload changed files. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (isSameProcess(identity)) kill(identity.pid, signal);
}

/** SIGTERM, then SIGKILL after `graceMs`; returns once the process and all its children are gone. */
export async function stopProcess(paths: UnitPaths, graceMs: number): Promise<void> {
  const identity = findUnitProcess(paths);
  if (identity !== null) {
    kill(identity.pid, "SIGTERM");
    // A stopped process receives its SIGTERM only once it continues.
    kill(identity.pid, "SIGCONT");
    if (!(await hasEnded(identity, graceMs))) {
      // The whole process group, which has the pid of its leader as long as that lives.
      kill(-identity.pid, "SIGKILL");
      if (!(await hasEnded(identity, 5000))) {
        throw new HaplanError("provider/unit-stop-failed", `Process ${identity.pid} did not exit on SIGKILL`);
      }
    }
  }
  for (const left of processesOfUnit(paths.directory)) kill(left.pid, "SIGKILL");
  rmSync(paths.process, { force: true });
}

async function hasEnded(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (isSameProcess(identity)) {
    if (performance.now() >= deadline) return false;
    await systemClock.sleep(pollMs);
  }
  return true;
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (systemErrorCode(error) !== "ESRCH") throw error;
  }
}

/** One log and one previous log: a unit that restarts forever does not fill the disk. */
function rotateLog(path: string): void {
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logBytesMax) renameSync(path, `${path}.1`);
}

/** The last `lines` lines of a log, from its last 64 KiB. */
export function logTail(path: string, lines: number): string {
  const tailBytes = 64 * 1024;
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw error;
  }
  return content.subarray(-tailBytes).toString("utf8").trimEnd().split("\n").slice(-lines).join("\n");
}
