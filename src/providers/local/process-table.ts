/**
 * Processes of this machine, from files: which are alive, since when, and which belong to units. A process id alone is
 * not enough, because ids are reused; an id together with the start time identifies a process.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { UnitOwner } from "../supervisor.ts";

export type ProcessIdentity = {
  readonly pid: number;
  /** Opaque; equal as long as it is the same process. Includes the boot as well, because clocks start anew at boot. */
  readonly startedAt: string;
};

/** Environment variable that marks every process of a unit with the unit's directory, even without a pid file. */
export const unitMarker = "HAPLAN_UNIT";

const hasProc = readText("/proc/self/stat") !== null;

/** The process with `pid` now; null if there is none, or only a zombie. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!hasProc) return identifyWithPs(pid);
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // proc(5): the name in parentheses may contain anything, so fields are counted from its last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const startTimeTicks = fields[19];
  if (state === "Z" || state === "X" || startTimeTicks === undefined) return null;
  return { pid, startedAt: `${bootId()}/${startTimeTicks}` };
}

/** Without /proc, ps knows the start to the second. */
function identifyWithPs(pid: number): ProcessIdentity | null {
  try {
    const output = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    const [state = "", ...started] = output.split(/\s+/);
    return state === "" || state.startsWith("Z") ? null : { pid, startedAt: started.join(" ") };
  } catch {
    return null;
  }
}

export function isSameProcess(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

/** Processes with the marker of `unitDir`; the session leader, which was started, first. */
export function processesOfUnit(unitDir: string): ProcessIdentity[] {
  const found = markedProcesses().filter((process) => process.unitDir === unitDir);
  found.sort((a, b) => Number(isSessionLeader(b.pid)) - Number(isSessionLeader(a.pid)));
  return found.map((process) => identifyProcess(process.pid)).filter((identity) => identity !== null);
}

/** The unit directory that `pid` was started for; null for other processes and those that may not be read. */
export function unitDirOf(pid: number): string | null {
  const environment = readText(`/proc/${pid}/environ`);
  const prefix = `${unitMarker}=`;
  return (
    environment
      ?.split("\0")
      .find((entry) => entry.startsWith(prefix))
      ?.slice(prefix.length) ?? null
  );
}

/** All processes of units of any cluster that this user may read. */
export function markedProcesses(): { readonly pid: number; readonly unitDir: string }[] {
  return allProcessIds().flatMap((pid) => {
    const unitDir = unitDirOf(pid);
    return unitDir === null ? [] : [{ pid, unitDir }];
  });
}

/** Whom a process runs as; null if it has ended, or that cannot be told. */
export function ownerOfProcess(pid: number): UnitOwner | null {
  const status = readText(`/proc/${pid}/status`) ?? "";
  const [userId, groupId] = ["Uid", "Gid"].map((name) => new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
  return userId === undefined || groupId === undefined ? null : { userId: Number(userId), groupId: Number(groupId) };
}

function isSessionLeader(pid: number): boolean {
  const stat = readText(`/proc/${pid}/stat`) ?? "";
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3] === String(pid);
}

/** `pid 812 (nginx: master process)`, as far as the system reports it. */
export function describeProcess(pid: number): string {
  const commandLine = readText(`/proc/${pid}/cmdline`)?.replaceAll("\0", " ").trim() ?? "";
  return commandLine === "" ? `pid ${pid}` : `pid ${pid} (${commandLine.slice(0, 120)})`;
}

/** The process with the socket of this inode number; null if it cannot be determined. */
export function ownerOfSocket(inode: string): number | null {
  const wanted = `socket:[${inode}]`;
  for (const pid of allProcessIds()) {
    for (const descriptor of readDir(`/proc/${pid}/fd`)) {
      try {
        if (readlinkSync(`/proc/${pid}/fd/${descriptor}`) === wanted) return pid;
      } catch {
        // Closed, or ended, since the directory was read.
      }
    }
  }
  return null;
}

function allProcessIds(): number[] {
  return hasProc ? readDir("/proc").map(Number).filter(Number.isInteger) : [];
}

function bootId(): string {
  return readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

function readDir(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Whether the process is a run of exactly this command. */
export function isRunAs(
  pid: number,
  command: { readonly file: string; readonly arguments: readonly string[] },
): boolean {
  const words = readText(`/proc/${pid}/cmdline`)?.split("\0").slice(0, -1);
  return words?.join("\0") === [command.file, ...command.arguments].join("\0");
}
